"""Makes docs/recipes.md, the reference of recipes, from the models that check them: `make docs`."""

import dataclasses
import enum
import json
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pipeline.recipe.pools import PoolSection, pool_profiles
from pipeline.recipe.recipe import Recipe
from serving.export.stored_form import StoredForm
from trainer.model.architectures import Architecture

_HEAD = """\
# Recipes: every key

Made of the code by `make docs`; do not edit. A recipe is a YAML file with these sections. Keys that are left out have
the default given; unknown ones are refused. `--set section.key=value` overrides one of them for a run; elements of
lists are addressed by their index (`--set variants.3=K16-H512`).
"""

_BOUNDS = {annotated_types.Ge: "≥", annotated_types.Gt: ">", annotated_types.Le: "≤", annotated_types.Lt: "<"}


def recipe_reference() -> str:
    """Returns the page as Markdown: a table per section, a line per key with type, bounds, default and meaning."""
    top = {name: field for name, field in Recipe.model_fields.items() if _section(field) is None}
    parts = [_HEAD, _table(Recipe, top)]
    for name, field in Recipe.model_fields.items():
        if (section := _section(field)) is not None:
            parts.append(_described(f"`{name}`", section))
    parts += [_described("`kubernetes.pools.NAME`", PoolSection), _profiles()]
    return "\n".join(parts)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """Returns the model of a key that is a section of its own."""
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _described(title: str, model: type[BaseModel]) -> str:
    lines = (model.__doc__ or "").strip().splitlines()
    return (
        f"## {title}\n\n"
        + "\n".join(line.strip() for line in lines)
        + "\n\n"
        + _table(model, model.model_fields)
    )


def _table(model: type[BaseModel], fields: dict[str, FieldInfo]) -> str:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        bounds = "".join(f", {bound}" for bound in _bounds(field))
        cells = (
            f"`{field.alias or name}`", f"{_type(field.annotation)}{bounds}", _default(field), field.description or ""
        )  # fmt: skip
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _type(annotation: Any) -> str:
    """Returns the name of a type as a user of YAML would say it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(one) for one in arguments if one is not type(None))
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {_type(arguments[0])}"
    if origin is tuple:
        return f"[{', '.join(_type(one) for one in arguments)}]"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " or ".join(f"`{one.value}`" for one in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"mapping with {', '.join(annotation.model_fields)}"
    words = {
        str: "text",
        int: "integer",
        float: "number",
        bool: "true or false",
        Any: "any",
        Architecture: "variant",
        StoredForm: "stored form",
    }
    return words[annotation]


def _bounds(field: FieldInfo) -> Iterator[str]:
    for rule in field.metadata:
        if sign := _BOUNDS.get(type(rule)):
            (limit,) = dataclasses.astuple(rule)
            yield f"{sign} {limit}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if value in (None, (), {}, PydanticUndefined):
        return "none"
    return f"`{json.dumps(value) if isinstance(value, bool) else value}`"


def _profiles() -> str:
    lines = [
        "## Profiles of GPU pools",
        "",
        "A pod of a pool gets at most so much.",
        "",
        "| profile | nodes with the labels | compute capability | GPU GiB | cores | memory GB | spot |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for name, profile in pool_profiles().items():
        labels = ", ".join(f"`{key}: {value}`" for key, value in profile.labels.items()) or "yours"
        lines.append(
            f"| `{name}` | {labels} | {profile.compute_capability:g} | {profile.gpu_gib:g} | {profile.cpus:g} "
            f"| {profile.memory_gb:g} | {'yes' if profile.spot else 'no'} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(recipe_reference())
