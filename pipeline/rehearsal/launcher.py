"""Runs one task from its start to its end: what the backend's driver and launcher do around its container."""

import errno
import logging
import os
import posixpath
import signal
import tempfile
import time
import uuid
from dataclasses import dataclass

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.executor_messages import LOGS
from pipeline.rehearsal.artifacts import (
    Artifact,
    ArtifactStore,
    OutputError,
    merged_outputs,
    parameters_put_out,
    provision_outputs,
)
from pipeline.rehearsal.backend import Backend, ControllerRetryPolicy
from pipeline.rehearsal.cache import cache_key, fingerprint
from pipeline.rehearsal.graph import WHOLE_INPUT, Task
from pipeline.rehearsal.outcome import LOGS_DIRECTORY, Outcome
from pipeline.rehearsal.parameters import Run, task_parameters
from pipeline.rehearsal.pod import contents, download, publish, reason_of
from pipeline.rehearsal.processes import Processes
from pipeline.rehearsal.retries import Retries

_WRONG_INPUT = 2
"""The exit code of `pipeline.kubeflow.entry_point` for a wrong input."""

_POD_DELETED = -signal.SIGTERM
"""The exit code of a container whose pod is taken away; a user of a rehearsal causes it with `kill PID`."""

_logger = logging.getLogger("yt8m.rehearse")


class _AttemptError(Exception):
    """An attempt failed: the reason, and the exit code."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Launcher:
    """Runs the tasks of one run.

    Attributes:
        backend: The version of the backend whose part this plays.
        run: The run that the tasks belong to.
        directory: The directory of the run's artifacts and logs.
        pipeline_root: The address that the directory's parent stands for, such as gs://bucket/pipelines/name.
        store: The store that receives the outputs.
        processes: Starts the commands.
        cache: Whether a task that has been done is not done again, if its caching options allow it.
        retry_policy: The policy of the workflow controller; None to start no task again.
        longest_wait: The most seconds that a retry waits, whatever the policy says.
    """

    backend: Backend
    run: Run
    directory: str
    pipeline_root: str
    store: ArtifactStore
    processes: Processes
    cache: bool
    retry_policy: ControllerRetryPolicy | None
    longest_wait: float

    def perform(self, task: Task) -> Outcome:
        """Runs a task whose inputs are there, and runs it again when it fails and its policy says so.

        Raises:
            StoppedError: If the rehearsal is being stopped.
        """
        given = pipeline_spec_pb2.ExecutorInput()
        for key, value in sorted(task_parameters(task, self.run, self.store.parameters).items()):
            given.inputs.parameter_values[key].CopyFrom(value)
        for key, artifacts in self.store.inputs(task).items():
            given.inputs.artifacts[key].CopyFrom(artifacts)
        salt = str(uuid.uuid4())
        outputs = provision_outputs(task, os.path.join(self.directory, task.name, salt), self.backend)
        for key, artifact in outputs.items():
            given.outputs.artifacts[key].artifacts.append(artifact)
        known = self._fingerprint(task, given)
        if known and (made := self.store.reuse(task.name, known)):
            return Outcome("cached", outputs=contents(made))
        given.outputs.output_file = self.backend.output_file(
            posixpath.join(self.pipeline_root, self.run.id, task.name, salt)
        )
        return self._attempts(task, given, outputs, known)

    def skips(self, task: Task) -> bool:
        """Returns whether the condition of the pipeline around a task, whose upstream tasks are done, does not hold."""
        if task.condition is None:
            return False
        source, expected = task.condition
        return self.store.parameters[source].string_value != expected

    def _fingerprint(self, task: Task, given: pipeline_spec_pb2.ExecutorInput) -> str | None:
        """Returns the fingerprint by which the cache knows the task; None if it is not cached."""
        if not self.cache or not task.spec.caching_options.enable_cache:
            return None
        claims = task.claims if self.backend.caches_by_claim else ()
        return fingerprint(cache_key(given, task.container.image, task.command, claims))

    def _attempts(
        self,
        task: Task,
        given: pipeline_spec_pb2.ExecutorInput,
        outputs: dict[str, Artifact],
        known: str | None,
    ) -> Outcome:
        log = os.path.join(self.directory, LOGS_DIRECTORY, f"{task.name}.log")
        logs_address = outputs[LOGS].uri
        started, attempts, downloaded = time.monotonic(), 0, 0
        while True:
            attempts += 1
            outputs[LOGS].uri = self.backend.logs_address(logs_address, attempts)
            given.outputs.artifacts[LOGS].artifacts[0].uri = outputs[LOGS].uri
            with tempfile.TemporaryDirectory(prefix="yt8m-rehearsal-") as pod:
                downloaded += download(given, os.path.join(pod, "inputs"))
                try:
                    made = self._attempt(task, given, outputs, pod, log)
                    self.store.record(task.name, made, known)
                except _AttemptError as error:
                    reason, code = f"{task.name}: {error}", error.code
                except OutputError as error:
                    reason, code = f"{task.name}: {error}", 1
                else:
                    seconds = time.monotonic() - started
                    return Outcome("succeeded", attempts, seconds, downloaded, contents(made), log=log)
            seconds = time.monotonic() - started
            wait, why_not = self._again(task, attempts, seconds, code)
            if wait is None:
                wrong = code == _WRONG_INPUT
                return Outcome("failed", attempts, seconds, downloaded, {}, reason + why_not, wrong, log)
            shown = min(wait, self.longest_wait)
            _logger.info(
                "%s; attempt %d in %.0f s (on the cluster: %.0f s)", reason, attempts + 1, shown, wait
            )
            self.processes.sleep(shown)

    def _again(self, task: Task, attempts: int, seconds: float, code: int) -> tuple[float | None, str]:
        """Returns the seconds until a failed task starts again, or None if it does not.

        Where its policy seems to say otherwise, the second value says why it does not.
        """
        if self.retry_policy is None:
            return None, ""
        deleted = code == _POD_DELETED
        retries = Retries.of(task.spec, self.backend, self.retry_policy)
        wait = retries.wait(attempts, seconds, deleted)
        own = task.spec.retry_policy.max_retry_count
        if wait is not None or self.retry_policy.covers(deleted) or attempts > own:
            return wait, ""
        end = "whose pod was deleted" if deleted else "whose container failed"
        return None, (
            f" (the file asks for {own} retries, but under retryPolicy {self.retry_policy} the workflow controller "
            f"starts nothing again {end}; --retry-policy Always rehearses one that does)"
        )

    def _attempt(
        self,
        task: Task,
        given: pipeline_spec_pb2.ExecutorInput,
        outputs: dict[str, Artifact],
        pod: str,
        log: str,
    ) -> dict[str, Artifact]:
        """Runs the command once, in a directory that stands for its pod."""
        here = pipeline_spec_pb2.ExecutorInput()
        here.CopyFrom(given)
        here.outputs.output_file = output_file = f"{pod}{given.outputs.output_file}"
        for key in task.component.output_definitions.parameters:
            here.outputs.parameters[key].output_file = f"{pod}/tmp/kfp/outputs/{key}"
        work = os.path.join(pod, "work")
        for directory in (work, os.path.dirname(log)):
            os.makedirs(directory, exist_ok=True)
        if self.backend.output_file_beside_outputs:
            os.makedirs(os.path.dirname(output_file))
        text = json_format.MessageToJson(here, indent=None, sort_keys=True)
        command = [word.replace(WHOLE_INPUT, text) for word in task.command]
        with open(log, "ab") as file:
            begin = file.tell()
            try:
                code = self.processes.run(command, work, file)
            except OSError as error:
                reason = f"cannot start {command[0]}: {error.strerror}"
                if error.errno == errno.E2BIG:
                    reason += f"; what it is given takes {len(text.encode()):,} bytes of JSON"
                raise _AttemptError(reason, 1) from error
        publish(log, begin, outputs[LOGS].uri)
        if code:
            raise _AttemptError(reason_of(task.name, code, log, begin), code)
        try:
            with open(output_file, encoding="utf-8") as written:
                said = written.read()
        except FileNotFoundError:
            said = None
        made = merged_outputs(outputs, said, self.directory)
        for key, value in parameters_put_out(task, said).items():
            self.store.parameters[task.name, key] = value
        return made
