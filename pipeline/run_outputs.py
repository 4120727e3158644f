"""What the nodes of a run left behind, as the metadata store has it."""

from collections import defaultdict
from dataclasses import dataclass

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

_OUTPUTS = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)
_SUCCEEDED = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)
_ENDED = (*_SUCCEEDED, mlmd.Execution.FAILED, mlmd.Execution.CANCELED)


@dataclass(frozen=True)
class NodeOutput:
    """One node of a run.

    Attributes:
        succeeded: Whether it ran to its end or came from the cache.
        ended: Whether it runs no more.
        last_sign: When its state changed for the last time, in seconds since 1970.
        uris: Output key: URIs of its artifacts.
    """

    succeeded: bool
    ended: bool
    last_sign: float
    uris: dict[str, list[str]]


def run_outputs(connection: mlmd.ConnectionConfig, run_id: str) -> dict[str, NodeOutput]:
    """The outputs of each node of a run that reached the metadata store, by node id."""
    store = metadata_store.MetadataStore(connection)
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    return {} if context is None else context_outputs(store, context)


def context_outputs(store: metadata_store.MetadataStore, context: mlmd.Context) -> dict[str, NodeOutput]:
    """The same for a run's context."""
    nodes = {}
    for execution in store.get_executions_by_context(context.id):
        uris = defaultdict(list)
        events = [e for e in store.get_events_by_execution_ids([execution.id]) if e.type in _OUTPUTS]
        artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
        for event in events:
            uris[event.path.steps[0].key].append(artifacts[event.artifact_id].uri)
        # A node's context is named <pipeline>.<node>, and a node id has no dot.
        (node,) = [
            c.name.rpartition(".")[2]
            for c in store.get_contexts_by_execution(execution.id)
            if c.type == "node"
        ]
        nodes[node] = NodeOutput(
            succeeded=execution.last_known_state in _SUCCEEDED,
            ended=execution.last_known_state in _ENDED,
            last_sign=execution.last_update_time_since_epoch / 1000,
            uris=dict(uris),
        )
    return nodes
