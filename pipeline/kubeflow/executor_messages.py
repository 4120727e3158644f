"""What the backend and an executor tell each other, mended in both directions.

The backend hands a container one JSON (ExecutorInput: artifacts and parameters in, artifacts out) and reads another
(ExecutorOutput: artifacts out). Both are plain dictionaries here, in protobuf's JSON form. What is mended:

- Input artifacts come without their type; the component's own specification has it.
- The backend adds an output `executor-logs`, of a type that TFX does not know.
- Before the container starts, the backend's launcher downloads everything below the address of each input. So nothing
  is written there: an output's content goes to `<task>/_payload/<key>`, and its metadata say so. Artifacts for
  the user interface (`system.*`), which reads at their address, stay.
- An output always becomes an artifact, also when the executor has none to give; its metadata say that, too.
"""

import copy
import posixpath
from typing import Any, NamedTuple

import yaml

PAYLOAD = "payload_uri"
"""Metadata: where an artifact's content is."""

ABSENT = "absent"
"""Metadata: the executor gave out no such artifact."""

LOGS = "executor-logs"
"""An output that the backend adds to every task's."""

Tree = dict[str, Any]


class Task(NamedTuple):
    """What an executor is given.

    Attributes:
        executor_input: With typed inputs and addresses of content.
        output_uris: Address of each output artifact as the backend gave it, by key.
        temp_uri: Directory for temporary files, where remote workers reach it; None for a task without outputs.
    """

    executor_input: Tree
    output_uris: dict[str, str]
    temp_uri: str | None


def from_backend(executor_input: Tree, inputs_spec: Tree) -> Task:
    """Mends what the backend hands over.

    Args:
        executor_input: ExecutorInput.
        inputs_spec: The component's ComponentInputsSpec, for the types of the inputs.
    """
    made = copy.deepcopy(executor_input)
    specs = inputs_spec.get("artifacts", {})
    for key, entry in made.get("inputs", {}).get("artifacts", {}).items():
        present = [a for a in entry.get("artifacts", ()) if not a.get("metadata", {}).get(ABSENT)]
        for artifact in present:
            if key in specs:
                artifact["type"] = copy.deepcopy(specs[key]["artifactType"])
            if payload := artifact.get("metadata", {}).pop(PAYLOAD, None):
                artifact["uri"] = payload
        entry["artifacts"] = present
    outputs = made.get("outputs", {}).get("artifacts", {})
    outputs.pop(LOGS, None)
    given = {}
    for key, entry in outputs.items():
        (artifact,) = entry["artifacts"]
        artifact.setdefault("name", key)
        given[key] = artifact["uri"]
        if not schema_title(artifact.get("type", {})).startswith("system."):
            artifact["uri"] = posixpath.join(posixpath.dirname(given[key].rstrip("/")), "_payload", key)
    root = posixpath.dirname(next(iter(given.values())).rstrip("/")) if given else None
    return Task(made, given, root and posixpath.join(root, "_tmp"))


def to_backend(artifacts: dict[str, Tree | None], task: Task) -> Tree:
    """The ExecutorOutput.

    Args:
        artifacts: What the executor gave out, a RuntimeArtifact a key; None for an output of which it has none.
        task: What it was given.
    """
    made = {}
    for key, artifact in artifacts.items():
        given = task.executor_input["outputs"]["artifacts"][key]["artifacts"][0]
        metadata = {ABSENT: 1} if artifact is None else dict(artifact.get("metadata", {}))
        if artifact is not None and given["uri"] != task.output_uris[key]:
            metadata[PAYLOAD] = given["uri"]
        made[key] = {
            "artifacts": [{"name": given["name"], "uri": task.output_uris[key], "metadata": metadata}]
        }
    return {"artifacts": made}


def schema_title(artifact_type: Tree) -> str:
    """The type's name, such as tfx.Model."""
    if title := artifact_type.get("schemaTitle"):
        return title
    return yaml.safe_load(artifact_type.get("instanceSchema") or "{}").get("title", "")
