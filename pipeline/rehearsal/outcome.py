"""What became of a rehearsal and of each of its tasks."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

LOGS_DIRECTORY = "_logs"
"""Below the directory of a run; no task is called so."""

State = Literal["succeeded", "cached", "failed", "not run"]


@dataclass(frozen=True)
class Outcome:
    """What became of one task.

    Attributes:
        state: `cached` when an earlier run under the same root had done the same, and it was not done again.
        attempts: How often it was started.
        seconds: From the first start to the end, waits included.
        bytes_downloaded: What the backend's launcher would have copied into its pods.
        outputs: Output key: where its content is.
        reason: Why it failed.
        wrong_input: Whether it failed because of what it was given.
        log: All that its processes printed; none for a task without.
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
    """A run that has ended.

    Attributes:
        pipeline: The pipeline's name.
        run_id: As the tasks saw it.
        directory: Of the run's artifacts and logs.
        tasks: In an order in which they could run.
    """

    pipeline: str
    run_id: str
    directory: str
    tasks: Mapping[str, Outcome]

    @property
    def logs(self) -> str:
        """Directory of the tasks' logs."""
        return os.path.join(self.directory, LOGS_DIRECTORY)

    @property
    def failures(self) -> dict[str, Outcome]:
        """The tasks that failed."""
        return {name: outcome for name, outcome in self.tasks.items() if outcome.state == "failed"}

    @property
    def bytes_downloaded(self) -> int:
        """By all tasks."""
        return sum(outcome.bytes_downloaded for outcome in self.tasks.values())

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return {
            "pipeline": self.pipeline,
            "run_id": self.run_id,
            "directory": self.directory,
            "logs": self.logs,
            "bytes_downloaded": self.bytes_downloaded,
            "tasks": [{"task": name, **dataclasses.asdict(outcome)} for name, outcome in self.tasks.items()],
        }

    def table(self) -> str:
        """The tasks with their times and bytes."""
        width = max(map(len, ("task", *self.tasks)))
        lines = [f"{'task':<{width}}  {'state':<9}  {'attempts':>8}  {'seconds':>8}  {'downloaded':>14}"]
        for name, outcome in self.tasks.items():
            lines.append(
                f"{name:<{width}}  {outcome.state:<9}  {outcome.attempts:>8}  {outcome.seconds:>8.1f}  "
                f"{outcome.bytes_downloaded:>8,} bytes"
            )
        return "\n".join(lines)
