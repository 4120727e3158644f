"""When a failed task starts again, by the rules of Argo, which runs the backend's workflows.

Source: argoproj/argo-workflows, workflow/controller/operator.go, processNodeRetries.
"""

from typing import NamedTuple

from kfp.pipeline_spec import pipeline_spec_pb2


class Retries(NamedTuple):
    """A task's retry policy.

    Attributes:
        count: How often it starts again.
        backoff: Seconds before the first time.
        factor: What each further wait is longer by; a whole number, 0 for equal waits.
        window: Seconds after the first start in which it may start again; not the longest wait.
    """

    count: int
    backoff: float
    factor: int
    window: float

    @classmethod
    def of(cls, policy: pipeline_spec_pb2.PipelineTaskSpec.RetryPolicy) -> "Retries":
        """A task's; without one it never starts again."""
        return cls(
            policy.max_retry_count,
            policy.backoff_duration.seconds,
            int(policy.backoff_factor),
            policy.backoff_max_duration.seconds,
        )

    def wait(self, attempts: int, since_start: float) -> float | None:
        """Seconds until the next attempt; None when there is none.

        Args:
            attempts: That have failed.
            since_start: Seconds since the first one started.
        """
        if attempts > self.count:
            return None
        seconds = self.backoff * max(self.factor, 1) ** (attempts - 1)
        return None if since_start + seconds > self.window else seconds
