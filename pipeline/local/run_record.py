"""The record of a local run: what the metadata store has no place for.

It is one JSON file per run, `logs/<run id without colons>.json`. It is there from the first moment, so that a failed
run can be reported, too.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import Field

from components.report_file import ReportPart, read_document
from components.run_report.provenance import CodeVersion, code_version
from pipeline.recipe.recipe import Recipe


class RunRecord(ReportPart):
    """The record of one run."""

    run_id: str = Field("", description="The id of the run in the metadata store.")
    pipeline: str | None = Field(
        None, description="The name of the pipeline; None for a run without a record."
    )
    recipe: dict[str, Any] | None = Field(
        None, description="The recipe, without settings that have their default; None where it is not known."
    )
    graph: dict[str, tuple[str, ...]] = Field(
        {}, description="The nodes that each node waits for, by node id; empty for a run without a record."
    )
    code: CodeVersion = Field(
        CodeVersion(version=None, commit=None, lock_sha256=None), description="The code that ran."
    )
    error: str | None = Field(None, description="Why the run failed.")


def record_path(base: Path, run_id: str) -> Path:
    """Returns the path of a run's record."""
    return base / "logs" / f"{run_id.replace(':', '')}.json"


def write_record(
    base: Path, run_id: str, pipeline: str, graph: dict[str, list[str]], recipe: Recipe | None
) -> None:
    """Writes the record of a run that begins.

    Args:
        base: The directory of the runs.
        run_id: The id of the run in the metadata store.
        pipeline: The name of the pipeline.
        graph: The nodes that each node waits for, by node id.
        recipe: The recipe; None for a pipeline that was not built from one.
    """
    record = RunRecord(
        run_id=run_id,
        pipeline=pipeline,
        recipe=recipe and recipe.model_dump(mode="json", exclude_defaults=True, by_alias=True),
        graph=graph,
        code=code_version(),
    )
    _write(base, record)


def record_error(base: Path, run_id: str, error: str) -> None:
    """Adds to the record why a run failed."""
    _write(base, read_record(base, run_id).model_copy(update={"error": error}))


def read_record(base: Path, run_id: str) -> RunRecord:
    """Returns the record of a run; it says nothing but the id for a run that has none."""
    path = record_path(base, run_id)
    found = read_document(str(path), RunRecord, "move it away") if path.is_file() else RunRecord()
    return found.model_copy(update={"run_id": run_id})


def _write(base: Path, record: RunRecord) -> None:
    text = json.dumps(record.model_dump(), indent=2) + "\n"
    record_path(base, record.run_id).write_text(text, encoding="utf-8")
