"""What is known of a run itself, beside what its steps reported: the `run` of a report."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.run_report.provenance import code_version

Facts = dict[str, Any]


def run_facts(
    *,
    pipeline: str,
    run_id: str,
    recipe: Facts | None,
    nodes: Sequence[Facts],
    artifacts: Sequence[Facts],
    code: Facts | None = None,
    started: str | None = None,
    seconds: float | None = None,
    state: str = "running",
    error: str | None = None,
) -> Facts:
    """Makes the `run` of a report, which always has all these keys.

    Args:
        pipeline: Name of the pipeline, which is that of the recipe.
        run_id: Id of the run in the metadata store or in the cluster.
        recipe: The recipe of the run, without settings that have their default; None where it is not known.
        nodes: [{id, upstream, state, started, seconds}], in an order in which they can run. The state is done, cached,
            running, failed, not begun, or stopped (it never ended, and its run is over); `started` is ISO 8601; the
            last two are None where nobody knows.
        artifacts: [{id, node, key, type, uri}]; id and node are None where nobody knows.
        code: Version, commit and lock file of the code (see `code_version`); None for the code that runs now.
        started: When the run began, in ISO 8601; None where nobody knows.
        seconds: Time from the first node's start to the last one's end; None where nobody knows.
        state: `succeeded`, `failed`, `stopped`, `running`, or `no_report` where only the report failed.
        error: Message of the node that failed; None where none did.
    """
    return {
        "pipeline": pipeline,
        "run_id": run_id,
        "state": state,
        "error": error,
        "started": started,
        "seconds": seconds,
        "recipe": recipe,
        "code": code or code_version(),
        "nodes": list(nodes),
        "artifacts": list(artifacts),
    }


def facts_from_inside(
    pipeline: str,
    run_id: str,
    recipe: Facts,
    graph: Mapping[str, Sequence[str]],
    reporter: str,
    artifacts: Sequence[Facts],
) -> Facts:
    """Makes the `run` of a report inside the run, in the node that writes the report, without a metadata store.

    That node runs last, so all others are done; how long they took is not known there.

    Args:
        pipeline: Name of the pipeline, which is that of the recipe.
        run_id: Id of the run.
        recipe: The recipe of the run, without settings that have their default.
        graph: For each node the nodes that it waits for.
        reporter: The node that writes the report, and is still running.
        artifacts: The artifacts that the node was given, in the form of `run_facts`.
    """
    nodes = [
        {
            "id": node,
            "upstream": list(upstream),
            "state": "running" if node == reporter else "done",
            "started": None,
            "seconds": None,
        }
        for node, upstream in graph.items()
    ]
    return run_facts(pipeline=pipeline, run_id=run_id, recipe=recipe, nodes=nodes, artifacts=artifacts)
