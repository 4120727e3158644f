"""The results of a rehearsal and of each of its tasks."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

LOGS_DIRECTORY = "_logs"
"""The subdirectory of a run's directory for logs; no task can have this name."""

State = Literal["succeeded", "cached", "skipped", "failed", "not run"]


@dataclass(frozen=True)
class Outcome:
    """The result of one task.

    Attributes:
        state: `succeeded`, `failed`, `not run`, `cached` if an earlier run under the same root had done the same, or
            `skipped` if the condition of the task did not hold, since nothing was new.
        attempts: How often the task was started.
        seconds: The seconds from the first start to the end, waits included.
        bytes_downloaded: The bytes that the backend's launcher would have copied into the task's pods.
        outputs: The place of each output's content, by the output's key.
        reason: Why the task failed; None otherwise.
        wrong_input: Whether it failed because of what it was given.
        log: The file with all that its processes printed; None for a task without processes.
    """

    state: State
    attempts: int = 0
    seconds: float = 0.0
    bytes_downloaded: int = 0
    outputs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reason: str | None = None
    wrong_input: bool = False
    log: str | None = None


@dataclass(frozen=True)
class Rehearsal:
    """A rehearsal that has ended.

    Attributes:
        pipeline: The name of the pipeline.
        run_id: The id of the run that the tasks saw.
        directory: The directory of the run's artifacts and logs.
        tasks: The outcome of each task, in an order in which they can run.
    """

    pipeline: str
    run_id: str
    directory: str
    tasks: Mapping[str, Outcome]

    @property
    def logs(self) -> str:
        """The directory of the tasks' logs."""
        return os.path.join(self.directory, LOGS_DIRECTORY)

    @property
    def failures(self) -> dict[str, Outcome]:
        """The tasks that failed, with their outcomes."""
        return {name: outcome for name, outcome in self.tasks.items() if outcome.state == "failed"}

    @property
    def bytes_downloaded(self) -> int:
        """The bytes that were downloaded by all tasks."""
        return sum(outcome.bytes_downloaded for outcome in self.tasks.values())

    def as_json(self) -> dict[str, Any]:
        """Returns everything as plain values."""
        return {
            "pipeline": self.pipeline,
            "run_id": self.run_id,
            "directory": self.directory,
            "logs": self.logs,
            "bytes_downloaded": self.bytes_downloaded,
            "tasks": [{"task": name, **dataclasses.asdict(outcome)} for name, outcome in self.tasks.items()],
        }

    def table(self) -> str:
        """Returns the tasks with their times and bytes as a table of text."""
        width = max(map(len, ("task", *self.tasks)))
        lines = [f"{'task':<{width}}  {'state':<9}  {'attempts':>8}  {'seconds':>8}  {'downloaded':>14}"]
        for name, outcome in self.tasks.items():
            lines.append(
                f"{name:<{width}}  {outcome.state:<9}  {outcome.attempts:>8}  {outcome.seconds:>8.1f}  "
                f"{outcome.bytes_downloaded:>8,} bytes"
            )
        return "\n".join(lines)
