"""What a local run notes down beside its log, which the metadata store has no place for.

One JSON file a run, `logs/<run id without colons>.json`: {run_id, pipeline, recipe, graph, code, error}. It is there
from the first moment, so that a run that failed can still be told of.
"""

import json
from pathlib import Path
from typing import Any

from components.run_report.provenance import code_version
from pipeline.recipe.recipe import Recipe

Record = dict[str, Any]


def record_path(base: Path, run_id: str) -> Path:
    """Where the record of a run is."""
    return base / "logs" / f"{run_id.replace(':', '')}.json"


def write_record(
    base: Path, run_id: str, pipeline: str, graph: dict[str, list[str]], recipe: Recipe | None
) -> None:
    """Writes the record of a run that begins.

    Args:
        base: Of the runs.
        run_id: As in the metadata store.
        pipeline: Its name.
        graph: Node: the nodes that it waits for.
        recipe: None for a pipeline that has none.
    """
    record = {
        "run_id": run_id,
        "pipeline": pipeline,
        "recipe": recipe and recipe.model_dump(mode="json", exclude_defaults=True, by_alias=True),
        "graph": graph,
        "code": code_version(),
        "error": None,
    }
    _write(base, record)


def record_error(base: Path, run_id: str, error: str) -> None:
    """Notes down why a run failed."""
    _write(base, {**read_record(base, run_id), "error": error})


def read_record(base: Path, run_id: str) -> Record:
    """The record of a run; empty for one that has none."""
    path = record_path(base, run_id)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _write(base: Path, record: Record) -> None:
    text = json.dumps(record, indent=2) + "\n"
    record_path(base, record["run_id"]).write_text(text, encoding="utf-8")
