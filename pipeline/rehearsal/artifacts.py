"""Artifacts as the backend's metadata store hands them on, and the addresses of those to come.

Source: kubeflow/pipelines, backend/src/v2: driver/driver.go (provisionOutputs), metadata/converter.go,
component/launcher_v2.go (mergeRuntimeArtifacts).
"""

import itertools
import json
import posixpath
from typing import Any

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.wire import LOGS
from pipeline.rehearsal.graph import Task

Artifact = pipeline_spec_pb2.RuntimeArtifact


class OutputError(Exception):
    """What a container says of its outputs is nothing that the launcher accepts."""


class ArtifactStore:
    """The artifacts of a run so far."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)
        self._artifacts: dict[tuple[str, str], Artifact] = {}

    def record(self, task: str, key: str, artifact: Artifact) -> None:
        """Takes in an output of a task that has succeeded.

        Raises:
            OutputError: If its metadata have a null, which the store cannot hold.
        """
        metadata = {"display_name": key, "store_session_info": "{}"}
        metadata |= _as_stored(json_format.MessageToDict(artifact.metadata))
        self._artifacts[task, key] = Artifact(
            # In the place of its key, the store's id; in that of its type, nothing.
            name=str(next(self._ids)),
            type=pipeline_spec_pb2.ArtifactTypeSchema(instance_schema=""),
            uri=artifact.uri,
            metadata=json_format.ParseDict(metadata, Struct()),
        )

    def inputs(self, task: Task) -> dict[str, pipeline_spec_pb2.ArtifactList]:
        """A task's input artifacts, by key."""
        return {
            key: pipeline_spec_pb2.ArtifactList(
                artifacts=[
                    self._artifacts[
                        given.task_output_artifact.producer_task,
                        given.task_output_artifact.output_artifact_key,
                    ]
                ]
            )
            for key, given in task.spec.inputs.artifacts.items()
        }


def provision_outputs(task: Task, task_root: str) -> dict[str, Artifact]:
    """A task's outputs before it runs, by key: where they are to be written, and the launcher's log.

    Args:
        task: Whose.
        task_root: Directory of this execution alone.
    """
    definitions = task.component.output_definitions.artifacts
    outputs = {
        key: Artifact(
            name=key,
            uri=posixpath.join(task_root, key),
            type=definition.artifact_type,
            metadata=definition.metadata,
        )
        for key, definition in definitions.items()
    }
    logs = pipeline_spec_pb2.ArtifactTypeSchema(schema_title="system.Artifact")
    outputs[LOGS] = Artifact(name=LOGS, uri=posixpath.join(task_root, LOGS), type=logs, metadata=Struct())
    return outputs


def merged_outputs(
    outputs: dict[str, Artifact], executor_output: str | None, run_root: str
) -> dict[str, Artifact]:
    """The outputs as the launcher records them.

    Args:
        outputs: Of `provision_outputs`.
        executor_output: The JSON that the container has written; None if it has written none.
        run_root: Under which every address must be.

    Raises:
        OutputError: If it is no ExecutorOutput, or an address is elsewhere.
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
        if key == LOGS:
            continue
        made[key] = Artifact()
        made[key].CopyFrom(artifact)
        if changes := said.artifacts[key].artifacts[:1] if key in said.artifacts else ():
            made[key].uri = changes[0].uri or artifact.uri
            made[key].metadata.update(json_format.MessageToDict(changes[0].metadata))
        if not made[key].uri.startswith(f"{run_root}/"):
            raise OutputError(
                f"the address of output {key}, {made[key].uri}, is not below the run's root {run_root}"
            )
    return made


def _as_stored(metadata: dict[str, Any]) -> dict[str, Any]:
    """Numbers stay, truth values become numbers, lists and structures are wrapped."""

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
