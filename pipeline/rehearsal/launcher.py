"""One task from its start to its end: what the backend's driver and launcher do around its container."""

import logging
import os
import shutil
import signal
import tempfile
import time
import uuid
from dataclasses import dataclass

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.wire import ABSENT, PAYLOAD
from pipeline.rehearsal.artifacts import (
    Artifact,
    ArtifactStore,
    OutputError,
    merged_outputs,
    provision_outputs,
)
from pipeline.rehearsal.conditions import ConditionError
from pipeline.rehearsal.graph import WHOLE_INPUT, Task
from pipeline.rehearsal.outcome import LOGS_DIRECTORY, Outcome
from pipeline.rehearsal.parameters import Run, task_parameters
from pipeline.rehearsal.processes import Processes
from pipeline.rehearsal.retries import Retries

_WRONG_INPUT = 2
"""Exit code of `pipeline.kubeflow.entry_point`."""

_logger = logging.getLogger("yt8m.rehearse")


class _AttemptError(Exception):
    """An attempt failed: why, and with which exit code."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Launcher:
    """Runs the tasks of one run.

    Attributes:
        run: Which.
        directory: Of its artifacts and logs.
        store: Receives the outputs.
        processes: Start the commands.
        retry: Whether failed tasks start again, as their policies say.
        longest_wait: Seconds that a retry waits at most, whatever the policy says.
    """

    run: Run
    directory: str
    store: ArtifactStore
    processes: Processes
    retry: bool
    longest_wait: float

    def perform(self, task: Task) -> Outcome:
        """Runs a task whose inputs are there, and again when it fails and its policy says so.

        Raises:
            StoppedError: If the rehearsal is being stopped.
        """
        given = pipeline_spec_pb2.ExecutorInput()
        for key, value in task_parameters(task, self.run).items():
            given.inputs.parameter_values[key].CopyFrom(value)
        for key, artifacts in self.store.inputs(task).items():
            given.inputs.artifacts[key].CopyFrom(artifacts)
        try:
            if task.condition and not task.condition.holds(_plain(given)):
                return Outcome("skipped")
        except ConditionError as error:
            return Outcome("failed", reason=f"{task.name}: {error}")
        outputs = provision_outputs(task, os.path.join(self.directory, task.name, str(uuid.uuid4())))
        for key, artifact in outputs.items():
            given.outputs.artifacts[key].artifacts.append(artifact)
        return self._attempts(task, given, outputs)

    def _attempts(
        self, task: Task, given: pipeline_spec_pb2.ExecutorInput, outputs: dict[str, Artifact]
    ) -> Outcome:
        log = os.path.join(self.directory, LOGS_DIRECTORY, f"{task.name}.log")
        policy = Retries.of(task.spec.retry_policy)
        started, attempts, downloaded = time.monotonic(), 0, 0
        while True:
            attempts += 1
            with tempfile.TemporaryDirectory(prefix="yt8m-rehearsal-") as pod:
                downloaded += _download(given, os.path.join(pod, "inputs"))
                try:
                    made = self._attempt(task, given, outputs, pod, log)
                    for key, artifact in made.items():
                        self.store.record(task.name, key, artifact)
                except _AttemptError as error:
                    reason, code = f"{task.name}: {error}", error.code
                except OutputError as error:
                    reason, code = f"{task.name}: {error}", 1
                else:
                    seconds = time.monotonic() - started
                    return Outcome("succeeded", attempts, seconds, downloaded, _contents(made), log=log)
            seconds = time.monotonic() - started
            wait = policy.wait(attempts, seconds) if self.retry else None
            if wait is None:
                wrong = code == _WRONG_INPUT
                return Outcome("failed", attempts, seconds, downloaded, {}, reason, wrong, log)
            shown = min(wait, self.longest_wait)
            _logger.info(
                "%s; attempt %d of %d in %.0f s (on the cluster: %.0f s)",
                reason, attempts + 1, policy.count + 1, shown, wait,
            )  # fmt: skip
            self.processes.sleep(shown)

    def _attempt(
        self,
        task: Task,
        given: pipeline_spec_pb2.ExecutorInput,
        outputs: dict[str, Artifact],
        pod: str,
        log: str,
    ) -> dict[str, Artifact]:
        """Runs the command once, in a directory that stands for its pod."""
        output_file = os.path.join(pod, "outputs", "output_metadata.json")
        work = os.path.join(pod, "work")
        for directory in (os.path.dirname(output_file), work, os.path.dirname(log)):
            os.makedirs(directory, exist_ok=True)
        given.outputs.output_file = output_file
        text = json_format.MessageToJson(given, indent=None)
        command = [word.replace(WHOLE_INPUT, text) for word in task.command]
        with open(log, "ab") as file:
            begin = file.tell()
            try:
                code = self.processes.run(command, work, file)
            except OSError as error:
                raise _AttemptError(f"cannot start {command[0]}: {error.strerror}", 1) from error
        if code:
            raise _AttemptError(_reason(task.name, code, log, begin), code)
        try:
            with open(output_file, encoding="utf-8") as written:
                said = written.read()
        except FileNotFoundError:
            said = None
        return merged_outputs(outputs, said, self.directory)


def _plain(given: pipeline_spec_pb2.ExecutorInput) -> dict[str, list[dict]]:
    artifacts = json_format.MessageToDict(given).get("inputs", {}).get("artifacts", {})
    return {key: entry["artifacts"] for key, entry in artifacts.items()}


def _download(given: pipeline_spec_pb2.ExecutorInput, directory: str) -> int:
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


def _contents(artifacts: dict[str, Artifact]) -> dict[str, str]:
    """Where a person finds what the outputs hold."""
    found = {key: json_format.MessageToDict(artifact.metadata) for key, artifact in artifacts.items()}
    return {
        key: metadata.get(PAYLOAD, artifacts[key].uri)
        for key, metadata in found.items()
        if ABSENT not in metadata
    }


def _reason(task: str, code: int, log: str, begin: int) -> str:
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
