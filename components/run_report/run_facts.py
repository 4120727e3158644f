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
    """The arguments as one object, every key of which a report always has.

    Args:
        pipeline: Its name, which is the recipe's.
        run_id: As the metadata store, or the cluster, has it.
        recipe: Of the run, without what has its default value.
        nodes: [{id, upstream, state, started, seconds}], in an order in which they can run. The state is done, cached,
            running, failed, not begun, or stopped (it never ended, and its run is over); `started` is ISO 8601; the
            last two are None where nobody knows.
        artifacts: [{id, node, key, type, uri}]; id and node are None where nobody knows.
        code: See `code_version`; None for the code that runs now.
        started: ISO 8601.
        seconds: From the first node's start to the last one's end.
        state: succeeded, failed, stopped, running, or no_report where only the report failed.
        error: Of the failed node.
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
    """The facts as the node that writes the report has them, which asks no metadata store.

    It runs last, so all nodes before it are done; how long they took it is not told.

    Args:
        pipeline: See `run_facts`.
        run_id: Likewise.
        recipe: Likewise.
        graph: Node: the nodes that it waits for.
        reporter: The node that is running.
        artifacts: See `run_facts`.
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
