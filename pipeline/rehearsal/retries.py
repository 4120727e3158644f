"""When a failed task starts again, by the rules of Argo, which runs the backend's workflows.

Source: argoproj/argo-workflows, workflow/controller/operator.go, processNodeRetries.
"""

import math
from typing import NamedTuple

from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.rehearsal.backend import Backend, ControllerRetryPolicy


class Retries(NamedTuple):
    """How often a task starts again, when, and after what.

    Attributes:
        count: How often it starts again.
        backoff: Seconds before the first time.
        factor: What each further wait is longer by; a whole number, 0 for equal waits.
        window: Seconds after the first start in which it may start again; not the longest wait.
        policy: After which ends it starts again.
    """

    count: int
    backoff: float
    factor: int
    window: float
    policy: ControllerRetryPolicy

    @classmethod
    def of(
        cls, task: pipeline_spec_pb2.PipelineTaskSpec, backend: Backend, policy: ControllerRetryPolicy
    ) -> "Retries":
        """A task's own, under a workflow controller's policy; without one, what the controller gives every task."""
        if not task.HasField("retry_policy"):
            return cls(backend.default_retries, 0, 0, math.inf, policy)
        own = task.retry_policy
        return cls(
            own.max_retry_count,
            own.backoff_duration.seconds,
            int(own.backoff_factor),
            own.backoff_max_duration.seconds,
            policy,
        )

    def wait(self, attempts: int, since_start: float, pod_deleted: bool) -> float | None:
        """Seconds until the next attempt; None when there is none.

        Args:
            attempts: That have failed.
            since_start: Seconds since the first one started.
            pod_deleted: Whether the last one ended because its pod was taken away.
        """
        if attempts > self.count or not self.policy.covers(pod_deleted):
            return None
        seconds = self.backoff * max(self.factor, 1) ** (attempts - 1)
        return None if since_start + seconds > self.window else seconds
