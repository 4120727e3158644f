"""The artifacts of a rehearsal, as the backend's metadata store hands them on, and the addresses of new ones.

Source: kubeflow/pipelines, backend/src/v2: driver/driver.go (provisionOutputs), metadata/converter.go,
component/launcher_v2.go (mergeRuntimeArtifacts).
"""

import json
import posixpath
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct, Value
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.executor_messages import LOGS
from pipeline.rehearsal.backend import Backend
from pipeline.rehearsal.graph import Task
from pipeline.rehearsal.metadata_store import MetadataStore

Artifact = pipeline_spec_pb2.RuntimeArtifact


class OutputError(Exception):
    """A container wrote something about its outputs that the launcher does not accept."""


class ArtifactStore:
    """The artifacts of a run so far.

    Args:
        metadata: The store that keeps them, together with those of other runs.
        pipeline: The name of the pipeline; the executions of other pipelines are not taken from the cache.
        pipeline_root: The address below which the backend would keep them, such as gs://bucket/root.
    """

    def __init__(self, metadata: MetadataStore, pipeline: str, pipeline_root: str) -> None:
        self._metadata = metadata
        self._pipeline = pipeline
        provider = pipeline_root.split("://", maxsplit=1)[0]
        session = {"Provider": provider, "Params": {"fromEnv": "true"}}
        self._session = json.dumps(session, separators=(",", ":"))
        self._artifacts: dict[tuple[str, str], Artifact] = {}
        self.parameters: dict[tuple[str, str], Value] = {}
        """The parameters that tasks have put out, by task and key."""

    def record(self, task: str, artifacts: Mapping[str, Artifact], fingerprint: str | None = None) -> None:
        """Takes in the outputs of a task that has succeeded.

        Args:
            task: The name of the task.
            artifacts: The outputs by key.
            fingerprint: The fingerprint under which the cache is to find them; None for a task that is not cached.

        Raises:
            OutputError: If their metadata have a null, which the store cannot hold.
        """
        stored = {key: self._stored(key, artifact) for key, artifact in artifacts.items()}
        ids = {}
        for key, artifact in stored.items():
            ids[key] = self._metadata.put_artifact(json_format.MessageToDict(artifact))
            # In the place of its key, the store's id; in that of its type, nothing.
            artifact.name = str(ids[key])
            self._artifacts[task, key] = artifact
        if fingerprint:
            self._metadata.put_execution(self._pipeline, fingerprint, ids)

    def reuse(self, task: str, fingerprint: str) -> dict[str, Artifact] | None:
        """Makes the outputs of an earlier execution those of a task; returns None if there was none.

        As on the backend, nobody looks whether they are still where they were.
        """
        found = self._metadata.cached_outputs(self._pipeline, fingerprint)
        if found is None:
            return None
        made = {}
        for key, (number, plain) in found.items():
            made[key] = json_format.ParseDict(plain, Artifact())
            made[key].name = str(number)
            self._artifacts[task, key] = made[key]
        return made

    def inputs(self, task: Task) -> dict[str, pipeline_spec_pb2.ArtifactList]:
        """Returns a task's input artifacts by key."""
        return {
            key: pipeline_spec_pb2.ArtifactList(
                artifacts=[
                    self._artifacts[
                        given.task_output_artifact.producer_task,
                        given.task_output_artifact.output_artifact_key,
                    ]
                ]
            )
            for key, given in sorted(task.spec.inputs.artifacts.items())
        }

    def _stored(self, key: str, artifact: Artifact) -> Artifact:
        metadata = {"display_name": key, "store_session_info": self._session}
        metadata |= _as_stored(json_format.MessageToDict(artifact.metadata))
        return Artifact(
            type=pipeline_spec_pb2.ArtifactTypeSchema(instance_schema=""),
            uri=artifact.uri,
            metadata=json_format.ParseDict(metadata, Struct()),
        )


def provision_outputs(task: Task, task_root: str, backend: Backend) -> dict[str, Artifact]:
    """Returns a task's outputs before it runs, by key, with the addresses to write to and the launcher's log.

    Args:
        task: The task that makes them.
        task_root: The directory of this execution alone.
        backend: The version of the backend.
    """
    outputs = {
        key: Artifact(uri=posixpath.join(task_root, key), type=definition.artifact_type)
        for key, definition in sorted(task.component.output_definitions.artifacts.items())
    }
    for key, artifact in outputs.items():
        definition = task.component.output_definitions.artifacts[key]
        if definition.HasField("metadata"):
            artifact.metadata.CopyFrom(definition.metadata)
    logs = pipeline_spec_pb2.ArtifactTypeSchema(schema_title="system.Artifact")
    outputs[LOGS] = Artifact(uri=posixpath.join(task_root, LOGS), type=logs)
    if backend.names_outputs:
        for key, artifact in outputs.items():
            artifact.name = key
    return outputs


def merged_outputs(
    outputs: dict[str, Artifact], executor_output: str | None, run_root: str
) -> dict[str, Artifact]:
    """Returns the outputs as the launcher records them.

    Args:
        outputs: The outputs that `provision_outputs` returned.
        executor_output: The JSON that the container has written; None if it has written none.
        run_root: The address below which every output must be.

    Raises:
        OutputError: If the JSON is no ExecutorOutput, or an address is elsewhere.
    """
    try:
        tree = json.loads(executor_output or "{}")
        if not isinstance(tree, dict):
            raise OutputError("the executor's output is not an ExecutorOutput: it is no JSON object")
        said = json_format.ParseDict(tree, pipeline_spec_pb2.ExecutorOutput())
    except (json.JSONDecodeError, json_format.ParseError) as error:
        raise OutputError(f"the executor's output is not an ExecutorOutput: {error}") from error
    made = {}
    for key, artifact in outputs.items():
        made[key] = Artifact()
        made[key].CopyFrom(artifact)
        if key == LOGS:
            continue  # the launcher's own, whatever the container says
        if changes := said.artifacts[key].artifacts[:1] if key in said.artifacts else ():
            made[key].uri = changes[0].uri or artifact.uri
            made[key].metadata.update(json_format.MessageToDict(changes[0].metadata))
        if not made[key].uri.startswith(f"{run_root}/"):
            raise OutputError(
                f"the address of output {key}, {made[key].uri}, is not below the run's root {run_root}"
            )
    return made


def parameters_put_out(task: Task, executor_output: str | None) -> dict[str, Value]:
    """Returns the parameters that a task has put out, by key.

    Raises:
        OutputError: If one is missing. (A file for each is another way to put them out, which no task of this project
            takes.)
    """
    said = json_format.Parse(executor_output or "{}", pipeline_spec_pb2.ExecutorOutput())
    keys = task.component.output_definitions.parameters
    if missing := sorted(key for key in keys if key not in said.parameter_values):
        raise OutputError(f"the executor's output has no parameter {', '.join(missing)}")
    return {key: said.parameter_values[key] for key in keys}


def _as_stored(metadata: dict[str, Any]) -> dict[str, Any]:
    """Returns metadata as the store keeps them: booleans become numbers, lists and structures are wrapped."""

    def stored(key: str, value: Any) -> Any:
        match value:
            case None:
                raise OutputError(f"the metadata {key} are null, which the backend's store cannot hold")
            case bool():
                return float(value)
            case list():
                return {"list": value}
            case dict():
                return {"struct": value}
            case _:
                return value

    return {key: stored(key, value) for key, value in metadata.items()}
