"""Decides when a failed task starts again, by the rules of Argo, which runs the backend's workflows.

Source: argoproj/argo-workflows, workflow/controller/operator.go, processNodeRetries.
"""

import math
from typing import NamedTuple

from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.rehearsal.backend import Backend, ControllerRetryPolicy


class Retries(NamedTuple):
    """How often a task starts again, when, and after which failures.

    Attributes:
        count: How often it starts again.
        backoff: The seconds before it starts again for the first time.
        factor: The factor by which each further wait is longer; a whole number, 0 for equal waits.
        window: The seconds after the first start in which it may start again; this is not the longest wait.
        policy: The failures after which it starts again.
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
        """Returns a task's retries under a workflow controller's policy.

        A task without a policy of its own gets what the controller gives every task.
        """
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
        """Returns the seconds until the next attempt; None if there is none.

        Args:
            attempts: The number of attempts that have failed.
            since_start: The seconds since the first attempt started.
            pod_deleted: Whether the last attempt ended because its pod was taken away.
        """
        if attempts > self.count or not self.policy.covers(pod_deleted):
            return None
        seconds = self.backoff * max(self.factor, 1) ** (attempts - 1)
        return None if since_start + seconds > self.window else seconds
