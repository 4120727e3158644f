"""Writes metadata stores as TFX leaves them, without TFX."""

from pathlib import Path

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

COMPLETE, CACHED, FAILED, RUNNING = (
    mlmd.Execution.COMPLETE, mlmd.Execution.CACHED, mlmd.Execution.FAILED, mlmd.Execution.RUNNING,
)  # fmt: skip


def open_store(base: Path) -> metadata_store.MetadataStore:
    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = str(base / "metadata.sqlite")
    connection.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return metadata_store.MetadataStore(connection)


def write_run(base: Path, run_id: str, nodes: dict[str, tuple[int, dict[str, str]]]) -> None:
    """A run of nodes: id: (state, output key: address)."""
    base.mkdir(parents=True, exist_ok=True)
    store = open_store(base)
    kinds = {name: store.put_context_type(mlmd.ContextType(name=name)) for name in ("pipeline_run", "node")}
    (run,) = store.put_contexts([mlmd.Context(type_id=kinds["pipeline_run"], name=run_id)])
    for name, (state, outputs) in nodes.items():
        found = store.get_context_by_type_and_name("node", f"tiny.{name}")
        node = found.id if found else store.put_contexts(
            [mlmd.Context(type_id=kinds["node"], name=f"tiny.{name}")]
        )[0]  # fmt: skip
        kind = store.put_execution_type(mlmd.ExecutionType(name=f"type.{name}"))
        artifacts = []
        for key, uri in outputs.items():
            type_id = store.put_artifact_type(mlmd.ArtifactType(name=f"Type{key.title()}"))
            event = mlmd.Event(type=mlmd.Event.OUTPUT)
            event.path.steps.add(key=key)
            event.path.steps.add(index=0)
            artifacts.append((mlmd.Artifact(type_id=type_id, uri=uri), event))
        execution = mlmd.Execution(type_id=kind, last_known_state=state)
        contexts = [store.get_contexts_by_id([one])[0] for one in (run, node)]
        store.put_execution(execution, artifacts, contexts)
