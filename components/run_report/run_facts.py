"""What is known of a run itself, beside what its steps reported."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from components.report_file import ReportPart
from components.run_report.provenance import CodeVersion, code_version


class RunNode(ReportPart):
    """What became of one step."""

    id: str
    upstream: tuple[str, ...] = Field(description="Ids of the steps that it waits for.")
    state: str = Field(
        description="done, cached, running, failed, not begun, or stopped (it never ended, and its run is over)."
    )
    started: str | None = Field(description="When it began, in ISO 8601; None where nobody knows.")
    seconds: float | None = Field(description="How long it took; None where nobody knows.")


class RunArtifact(ReportPart):
    """One artifact that a step left."""

    id: int | None = Field(description="Its id in the metadata store; None where nobody knows.")
    node: str | None = Field(description="Id of the step; None where nobody knows.")
    key: str = Field(description="Key of the output.")
    type: str
    uri: str


class RunFacts(ReportPart):
    """One run of a pipeline."""

    pipeline: str = Field(description="Name of the pipeline, which is that of the recipe.")
    run_id: str = Field(description="Id of the run in the metadata store or in the cluster.")
    state: str = Field(
        description="succeeded (done in version 0.1.0), failed, stopped, running, or no_report where only the report "
        "failed."
    )
    error: str | None = Field(description="Message of the step that failed; None where none did.")
    started: str | None = Field(description="When the run began, in ISO 8601; None where nobody knows.")
    seconds: float | None = Field(
        description="Time from the first step's start to the last one's end; None where nobody knows."
    )
    recipe: dict[str, Any] | None = Field(
        description="The recipe, without settings that have their default; None where it is not known."
    )
    code: CodeVersion = Field(description="The code that ran.")
    nodes: tuple[RunNode, ...] = Field(description="The steps, in an order in which they can run.")
    artifacts: tuple[RunArtifact, ...] = Field(description="All artifacts.")


def facts_from_inside(
    run_id: str, recipe: dict[str, Any], graph: Mapping[str, Sequence[str]], artifacts: Sequence[RunArtifact]
) -> RunFacts:
    """Tells what is known inside the run, in the step that writes the report, without a metadata store.

    That step runs last, so all others are done; how long they took is not known there.

    Args:
        run_id: Id of the run.
        recipe: The recipe of the run, without settings that have their default.
        graph: For each step the steps that it waits for; the last one writes the report, and is still running.
        artifacts: The artifacts that the step was given.
    """
    *_, reporter = graph
    return RunFacts(
        pipeline=recipe["name"],
        run_id=run_id,
        state="running",
        error=None,
        started=None,
        seconds=None,
        recipe=recipe,
        code=code_version(),
        nodes=tuple(
            RunNode(
                id=node,
                upstream=tuple(upstream),
                state="running" if node == reporter else "done",
                started=None,
                seconds=None,
            )
            for node, upstream in graph.items()
        ),
        artifacts=tuple(artifacts),
    )
