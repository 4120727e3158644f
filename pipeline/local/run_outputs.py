"""Reads from the metadata store what the nodes of a run did and left behind."""

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.report_file import StepReport
from trainer.base.errors import UserError
from trainer.base.files import is_local

_Kind = TypeVar("_Kind", bound=StepReport)

_OUTPUTS = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)
_STATES = {
    mlmd.Execution.COMPLETE: "done",
    mlmd.Execution.CACHED: "cached",
    mlmd.Execution.FAILED: "failed",
    mlmd.Execution.CANCELED: "failed",
}


@dataclass(frozen=True)
class OutputArtifact:
    """One artifact: its id in the store, its type, and its address."""

    id: int
    type: str
    uri: str


@dataclass(frozen=True)
class NodeOutput:
    """One node of a run.

    Attributes:
        state: `done`, `cached`, `failed`, or `running`.
        started: When the node began, in seconds since 1970.
        last_sign: When its state changed for the last time, in seconds since 1970.
        artifacts: The artifacts of each output, by the output's key.
    """

    state: str
    started: float
    last_sign: float
    artifacts: dict[str, list[OutputArtifact]]

    @property
    def succeeded(self) -> bool:
        """Whether the node ran to its end or came from the cache."""
        return self.state in ("done", "cached")

    @property
    def ended(self) -> bool:
        """Whether the node does not run any more."""
        return self.state != "running"

    @property
    def uris(self) -> dict[str, list[str]]:
        """The addresses of the artifacts of each output, by the output's key."""
        return {key: [artifact.uri for artifact in found] for key, found in self.artifacts.items()}


def run_outputs(connection: mlmd.ConnectionConfig, run_id: str) -> dict[str, NodeOutput]:
    """Returns the outputs of each node of a run that reached the metadata store, by node id."""
    store = metadata_store.MetadataStore(connection)
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    base = Path(connection.sqlite.filename_uri).parent
    return {} if context is None else context_outputs(store, context, base)


def context_outputs(
    store: metadata_store.MetadataStore, context: mlmd.Context, base: Path
) -> dict[str, NodeOutput]:
    """Returns the outputs of the run that a context stands for, in the order in which the nodes began.

    Args:
        store: The metadata store.
        context: The run's context.
        base: The directory of runs that has the store: artifacts that moved with it are found.
    """
    nodes = {}
    for execution in sorted(store.get_executions_by_context(context.id), key=lambda one: one.id):
        artifacts = defaultdict(list)
        events = [e for e in store.get_events_by_execution_ids([execution.id]) if e.type in _OUTPUTS]
        found = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
        for event in events:
            one = found[event.artifact_id]
            artifacts[event.path.steps[0].key].append(
                OutputArtifact(one.id, one.type, _present(one.uri, base))
            )
        # A node's context is named <pipeline>.<node>, and a node id has no dot.
        (node,) = [
            c.name.rpartition(".")[2]
            for c in store.get_contexts_by_execution(execution.id)
            if c.type == "node"
        ]
        nodes[node] = NodeOutput(
            _STATES.get(execution.last_known_state, "running"),
            execution.create_time_since_epoch / 1000,
            execution.last_update_time_since_epoch / 1000,
            dict(artifacts),
        )
    return nodes


def places(uri: str, base: Path) -> list[str]:
    """Returns where an artifact may be: at its address, and below `base` where the directory of runs was moved to it.

    The store knows each artifact by the absolute path that it was made at, `<directory of runs>/artifacts/...`.
    """
    parts = Path(uri).parts
    rest = [parts[number + 1 :] for number, part in enumerate(parts) if part == "artifacts"]
    return [uri, *(str(base.joinpath("artifacts", *below)) for below in rest)] if is_local(uri) else [uri]


def _present(uri: str, base: Path) -> str:
    return next(filter(os.path.exists, places(uri, base)), uri)


def output_document(nodes: dict[str, NodeOutput], node: str, output: str, kind: type[_Kind]) -> _Kind | None:
    """Returns the document of an artifact; None if the node did not get so far, or the file was removed."""
    if node not in nodes or not nodes[node].succeeded or output not in nodes[node].uris:
        return None
    try:
        return kind.read(nodes[node].uris[output][0])
    except UserError:
        return None
