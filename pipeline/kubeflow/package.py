"""Reads the file that `yt8m compile` wrote, for `yt8m rehearse`, `submit`, `schedule` and `doctor`."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipeline.kubeflow.checks import MAX_PARAMETERS_BYTES, check_spec
from pipeline.kubeflow.spec_edits import all_tasks
from pipeline.recipe.errors import nearest
from pipeline.recipe.loader import yaml_problem
from trainer.base.addresses import check_address, check_bucket_address
from trainer.base.errors import UserError
from trainer.base.units import LARGEST_MIB, MIB

_ADDRESSES = ("push_destination",)
"""The parameters whose values are addresses of files."""

_RANGES = {"limit_bytes": (MIB, LARGEST_MIB * MIB), "max_reject_share": (0, 1)}
"""The least and the most of parameters that are numbers; a limit below one MiB was not meant in bytes."""

_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True)
class Package:
    """A compiled pipeline that keeps the backend's own rules.

    Attributes:
        path: The path of the file.
        digest: The SHA-256 of its bytes, in hexadecimal.
        spec: Its first document, a PipelineSpec.
        platform: Its second document, a PlatformSpec; empty where there is none.
    """

    path: str
    digest: str
    spec: dict[str, Any]
    platform: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the pipeline."""
        return self.spec["pipelineInfo"]["name"]

    @property
    def pipeline_root(self) -> str | None:
        """The directory of the artifacts of runs that name no other; the backend does not look for it here."""
        return self.spec.get("defaultPipelineRoot")

    @property
    def tasks(self) -> list[str]:
        """The names of the tasks, sorted."""
        return sorted(all_tasks(self.spec))

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """The type and default of each parameter that a run may set, by name."""
        return self.spec["root"].get("inputDefinitions", {}).get("parameters", {})


def read_package(path: str) -> Package:
    """Reads and checks a compiled pipeline.

    Everything is checked that `yt8m compile` checks: the backend looks at task names and the like of a recurring run
    only when it starts a run, at night.

    Raises:
        UserError: If there is no such file, it is no compiled pipeline, the backend would refuse it, or it has an
            address that cannot exist.
    """
    if not path.endswith((".yaml", ".yml")):
        raise UserError(f"{path}: a compiled pipeline is a .yaml file; yt8m compile writes one")
    if not os.path.isfile(path):
        raise UserError(f"{path}: there is no such file; yt8m compile writes one")
    with open(path, "rb") as file:
        content = file.read()
    try:
        documents = [*yaml.safe_load_all(content)]
        spec, platform = documents if len(documents) == 2 else (*documents, {})
        spec["pipelineInfo"]["name"], spec["root"]["dag"]["tasks"], spec["deploymentSpec"]["executors"]
        if (maker := str(spec.get("sdkVersion"))).startswith("kfp-"):
            raise UserError(f"it was compiled by {maker}: give a file that yt8m compile wrote")
        check_spec(spec, platform)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (
        yaml.YAMLError,
        UnicodeDecodeError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RecursionError,
    ) as error:
        kind = "not YAML" if isinstance(error, yaml.YAMLError | UnicodeDecodeError) else type(error).__name__
        why = (
            f"it has no {error.args[0]}" if isinstance(error, KeyError) else f"{kind}: {yaml_problem(error)}"
        )
        raise UserError(
            f"{path} is no pipeline as yt8m compile writes it ({why}); compile it again"
        ) from error
    package = Package(path, hashlib.sha256(content).hexdigest(), spec, platform)
    if package.pipeline_root is not None:
        check_bucket_address(package.pipeline_root, f"{path}: defaultPipelineRoot")
    for name in _ADDRESSES:
        if default := package.parameters.get(name, {}).get("defaultValue"):
            check_address(default, f"{path}: {name}")
    return package


def parse_parameters(package: Package, assignments: Sequence[str], option: str = "--param") -> dict[str, Any]:
    """Parses the parameters that a run sets to other values than the compiled file.

    Args:
        package: The compiled pipeline.
        assignments: Texts of the form `name=value`.
        option: The option that they were given with, for messages.

    Returns:
        The values by name, each of its parameter's type.

    Raises:
        UserError: If the pipeline has no such parameter, it is given twice, the value is not of its type or out of its
            range, or all together are too long.
    """
    values = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"{option} is NAME=VALUE. Received: {text!r}")
        if name not in package.parameters:
            known = nearest(name, sorted(package.parameters)) or ": it has none"
            raise UserError(f"{option} {name}: {package.path} has no such parameter{known}")
        if name in values:
            raise UserError(f"{option} {name} is given twice; give it once")
        kind = package.parameters[name]["parameterType"]
        if name in _ADDRESSES:
            check_address(value, f"{option} {name}")
        try:
            values[name] = _PARSERS[kind](value)
        except ValueError:
            default = package.parameters[name].get("defaultValue")
            # A number of a compiled file may be 5.0 where a whole one is meant.
            shown = int(default) if default is not None and kind == "NUMBER_INTEGER" else default
            example = "" if default is None else f", such as {json.dumps(shown)}"
            raise UserError(f"{option} {name} must be {_KINDS[kind]}{example}. Received: {value!r}") from None
        least, most = _RANGES.get(name, (-math.inf, math.inf))
        if isinstance(values[name], int | float) and not least <= values[name] <= most:
            limits = f"at least {least:,} and at most {most:,}"
            raise UserError(f"{option} {name} must be {limits}. Received: {value}")
    _check_size(package, values, option)
    return values


def _check_size(package: Package, values: Mapping[str, Any], option: str) -> None:
    defaults = {name: definition.get("defaultValue") for name, definition in package.parameters.items()}
    size = len(json.dumps({**defaults, **values}).encode())
    if size >= MAX_PARAMETERS_BYTES:
        raise UserError(
            f"{option}: the parameters of a run take {size:,} bytes, and the backend stores fewer than "
            f"{MAX_PARAMETERS_BYTES:,}; make them shorter"
        )


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError from None


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # JSON has no such number
        raise ValueError
    return value


def _json_of(kind: type) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = json.loads(text)
        if not isinstance(value, kind):
            raise ValueError
        return value

    return parse


_KINDS = {
    "STRING": "a text",
    "NUMBER_INTEGER": "a whole number",
    "NUMBER_DOUBLE": "a number",
    "BOOLEAN": "true or false",
    "LIST": "a list in JSON",
    "STRUCT": "an object in JSON",
}

_PARSERS: dict[str, Callable[[str], Any]] = {
    "STRING": str,
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": _finite,
    "BOOLEAN": _boolean,
    "LIST": _json_of(list),
    "STRUCT": _json_of(dict),
}
