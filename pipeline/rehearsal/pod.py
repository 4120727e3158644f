"""What the launcher does in a task's pod before and after its command: downloads, logs, outputs, and why it failed."""

import os
import shutil
import signal

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.executor_messages import ABSENT, LOGS, PAYLOAD
from pipeline.rehearsal.artifacts import Artifact


def publish(log: str, begin: int, address: str) -> None:
    """Puts what an attempt has printed where the launcher uploads it to."""
    os.makedirs(os.path.dirname(address), exist_ok=True)
    with open(log, "rb") as source, open(address, "wb") as target:
        source.seek(begin)
        shutil.copyfileobj(source, target)


def download(given: pipeline_spec_pb2.ExecutorInput, directory: str) -> int:
    """Copies what lies at the inputs' addresses, as the launcher does before a container starts; their bytes."""
    total = 0
    for key, entry in given.inputs.artifacts.items():
        for number, artifact in enumerate(entry.artifacts):
            target = os.path.join(directory, f"{key}-{number}")
            if os.path.isdir(artifact.uri):
                shutil.copytree(artifact.uri, target)
                total += sum(
                    os.path.getsize(os.path.join(folder, name))
                    for folder, _, names in os.walk(target)
                    for name in names
                )
            elif os.path.isfile(artifact.uri):
                os.makedirs(directory, exist_ok=True)
                shutil.copyfile(artifact.uri, target)
                total += os.path.getsize(target)
    return total


def contents(artifacts: dict[str, Artifact]) -> dict[str, str]:
    """Where a person finds what the outputs hold."""
    found = {key: json_format.MessageToDict(artifact.metadata) for key, artifact in artifacts.items()}
    return {
        key: metadata.get(PAYLOAD, artifacts[key].uri)
        for key, metadata in found.items()
        if ABSENT not in metadata and key != LOGS
    }


def reason_of(task: str, code: int, log: str, begin: int) -> str:
    """The entry point's one line; what is known where the process did not come to write it."""
    with open(log, "rb") as file:
        file.seek(begin)
        # The first line is the process' id.
        lines = file.read().decode(errors="replace").split("\n", 1)[-1].splitlines()
    last = next((line for line in reversed(lines) if line.strip()), "")
    if last.startswith(f"yt8m: {task}: "):
        return last.removeprefix(f"yt8m: {task}: ")
    end = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return end + (f" after printing {last.strip()!r:.500}" if last else "")
