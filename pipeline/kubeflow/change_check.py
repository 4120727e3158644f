"""What the first and the last task of a compiled pipeline do: look whether anything is new, and remember the run.

The first compares data, code, recipe and served model with what the newest finished run of the pipeline left in
`PIPELINE-ROOT/PIPELINE/last_run.json`. If all are the same, it says so, and no further task is started. The last writes
that file. Neither is a TFX component: they say nothing about data that other steps would read.
"""

import hashlib
import json
import logging
import os
import posixpath
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.user_errors import find_user_error
from trainer.base.files import exists, open_file
from trainer.base.whole import whole_file

CHECK, RECORD = "ChangeCheck", "RecordRun"
"""The names of the two tasks."""

CHANGED, FINGERPRINT = "changed", "fingerprint"
"""The output parameters of the first task: "true" or "false", and what the last one is to remember."""

REPORT = "report"
"""The output artifact of both tasks: a JSON file with what was compared."""

_LAST_RUN = "last_run.json"
_PACKAGES = ("pipeline", "components", "serving", "trainer")

_logger = logging.getLogger("yt8m.change_check")

Tree = dict[str, Any]


def main(argv: Sequence[str]) -> int:
    """Runs one of the two tasks; the arguments are its name and the backend's ExecutorInput."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(message)s")
    name, given = argv[0], json.loads(argv[1])
    parameters = given.get("inputs", {}).get("parameterValues", {})
    (report,) = given["outputs"]["artifacts"][REPORT]["artifacts"]
    # PIPELINE-ROOT/PIPELINE/RUN/TASK/ID/report
    record = posixpath.join(_parent(report["uri"], 4), _LAST_RUN)
    try:
        made, content = (check if name == CHECK else remember)(parameters, record)
    except Exception as error:
        if reason := find_user_error(error):
            sys.stderr.write(f"yt8m: {name}: {reason}\n")
            return 2
        raise
    _write(report["uri"], content)
    output_file = given["outputs"]["outputFile"]
    os.makedirs(os.path.dirname(output_file), exist_ok=True)
    Path(output_file).write_text(json.dumps({"parameterValues": made}), encoding="utf-8")
    return 0


def check(parameters: Mapping[str, Any], record: str) -> tuple[Tree, Tree]:
    """Compares this run with the newest one that has finished.

    Args:
        parameters: The parameters of the task; see `pipeline.kubeflow.only_when_new`.
        record: The address of what that run left; there need not be such a file.

    Returns:
        The output parameters, and what was compared.

    Raises:
        UserError: If there are no data, or the directory of versions cannot be read.
    """
    found = {
        "data": _digest(_data_fingerprint(parameters)),
        "recipe": _digest(
            {key: value for key, value in parameters.items() if key not in ("force", "run_id", "image")}
        ),
        "code": _digest([parameters["image"], source_digest()]),
        "served": served_version(parameters["push_destination"]),
    }
    last = _read(record) if exists(record) else None
    new = [key for key, value in found.items() if last is None or last["fingerprint"].get(key) != value]
    changed = bool(new or parameters.get("force"))
    if not changed:
        said = f"nothing new since run {last['run_id']}: the same data, code, recipe and served model"
    elif last is None:
        said = "no run of this pipeline has finished yet"
    else:
        said = f"new since run {last['run_id']}: {', '.join(new) or 'nothing, but the run is forced'}"
    _logger.info("%s", said)
    remembered = {key: value for key, value in found.items() if key != "served"}
    made = {CHANGED: json.dumps(changed), FINGERPRINT: json.dumps(remembered)}
    return made, {"said": said, "changed": changed, "found": found, "last": last}


def remember(parameters: Mapping[str, Any], record: str) -> tuple[Tree, Tree]:
    """Writes down what a finished run was made of; see `check`."""
    served = served_version(parameters["push_destination"])
    content = {
        "run_id": parameters["run_id"],
        "fingerprint": json.loads(parameters[FINGERPRINT]) | {"served": served},
    }
    _write(record, content)
    return {}, content


def source_digest() -> str:
    """Returns a digest of the source files of this project's packages, as they are installed here."""
    digest = hashlib.sha256()
    for package in _PACKAGES:
        root = Path(__import__(package).__file__).parent
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def served_version(base: str) -> int | None:
    """Returns the number of the version that is served from a directory; None where there is none yet."""
    from serving.store.model_store import open_store

    return max(open_store(base).versions(), default=None)


def _data_fingerprint(parameters: Mapping[str, Any]) -> str:
    """Returns names, sizes and times of the files, of the spans that the run would read."""
    from tfx.orchestration import data_types

    from components.example_gen.driver import Driver

    pipeline = data_types.PipelineInfo("", "")
    resolved = Driver(None).resolve_exec_properties(
        dict(parameters), pipeline, data_types.ComponentInfo("", "", pipeline)
    )
    return resolved["input_fingerprint"]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _parent(uri: str, levels: int) -> str:
    for _ in range(levels):
        uri = posixpath.dirname(uri.rstrip("/"))
    return uri


def _read(path: str) -> Tree:
    with open_file(path, "rb") as file:
        return json.loads(file.read())


def _write(path: str, content: Tree) -> None:
    if "://" not in path:
        os.makedirs(os.path.dirname(path), exist_ok=True)
    with whole_file(path) as unfinished:
        Path(unfinished).write_text(json.dumps(content, indent=2), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
