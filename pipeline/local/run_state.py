"""What became of a run of this machine, in one word: the same one in `yt8m runs` and in the run's report."""

from collections.abc import Mapping

from pipeline.local.run_outputs import NodeOutput
from pipeline.local.run_record import RunRecord

_LAST_NODE = "RunReport"
"""The node that waits for all others, in the pipeline of every recipe."""


def run_state(nodes: Mapping[str, NodeOutput], record: RunRecord, running: bool) -> str:
    """Returns what became of a run.

    Args:
        nodes: What the nodes that have begun left behind, by node id.
        record: The record of the run.
        running: Whether a process is working on the run now.

    Returns:
        `succeeded`, `failed`, `running`, `stopped` for a run that was killed or never began a step, or `no_report` for
        a run of which every step but the report is done: such a run has pushed its model, or has said why not.
    """
    failed = [name for name, node in nodes.items() if node.ended and not node.succeeded]
    if failed == [_LAST_NODE]:
        return "no_report"
    if failed or record.error:
        return "failed"
    expected = record.graph or [_LAST_NODE]
    if all(name in nodes and nodes[name].succeeded for name in expected):
        return "succeeded"
    return "running" if running else "stopped"
