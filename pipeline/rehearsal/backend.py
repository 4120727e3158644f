"""The differences between versions of Kubeflow Pipelines in what they do around a task.

Source: the tags 2.14.3 and 2.17.0 of kubeflow/pipelines, backend/src/v2 and
manifests/kustomize/third-party/argo/base/workflow-controller-configmap-patch.yaml.
"""

import enum
import posixpath
from dataclasses import dataclass


class ControllerRetryPolicy(enum.StrEnum):
    """The failures after which Argo starts a task again, as long as the task's own policy allows it."""

    ON_FAILURE = "OnFailure"
    """The task's container failed: it ended with another exit code than 0, or took too much memory."""

    ON_ERROR = "OnError"
    """The task's pod was taken away: it was deleted, or drained with a spot node."""

    ALWAYS = "Always"
    """Both kinds of failure."""

    def covers(self, pod_deleted: bool) -> bool:
        """Returns whether a task starts again after such a failure."""
        return self is ControllerRetryPolicy.ALWAYS or pod_deleted == (self is ControllerRetryPolicy.ON_ERROR)


@dataclass(frozen=True)
class Backend:
    """A version of the backend.

    Attributes:
        version: The first two numbers of the version.
        retry_policy: The policy of its workflow controller for every task: a compiled file has no field for it.
        default_retries: How often a task without a policy of its own starts again.
        names_outputs: Whether the output artifacts that a container is given have names.
        numbers_logs: Whether the address of `executor-logs` ends with the number of the attempt.
        output_file_beside_outputs: Whether ExecutorOutput is written beside the launcher's local copies of the outputs;
            otherwise it has a place of its own, whose directory the container makes.
        caches_by_claim: Whether the cache takes a task with other volumes for another task.
        offloads_arguments: Whether the root driver may be given a pipeline of more than 128 KiB in a file.
    """

    version: str
    retry_policy: ControllerRetryPolicy
    default_retries: int
    names_outputs: bool
    numbers_logs: bool
    output_file_beside_outputs: bool
    caches_by_claim: bool
    offloads_arguments: bool

    def output_file(self, task_root: str) -> str:
        """Returns the path in its pod at which a container writes its ExecutorOutput.

        Args:
            task_root: The address of the task's outputs, such as gs://bucket/pipelines/name/run/task/uuid.
        """
        if not self.output_file_beside_outputs:
            return "/tmp/kfp_outputs/output_metadata.json"
        return posixpath.join(local_path(task_root), "output_metadata.json")

    def logs_address(self, address: str, attempt: int) -> str:
        """Returns the address of an attempt's log; the first attempt has the number 1."""
        return f"{address}-{attempt - 1}" if self.numbers_logs else address


BACKENDS = {
    "2.14": Backend("2.14", ControllerRetryPolicy.ON_FAILURE, 0, False, False, False, False, False),
    "2.17": Backend("2.17", ControllerRetryPolicy.ON_ERROR, 2, True, True, True, True, True),
}
"""The versions that a rehearsal knows, by their first two numbers."""

DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"
"""The address of the artifacts if neither the file nor the run gives one."""


def local_path(address: str) -> str:
    """Returns the path in a pod at which the launcher keeps its copy of what is at an address.

    >>> local_path("gs://bucket/models/7")
    '/gcs/bucket/models/7'
    """
    scheme, rest = address.split("://")
    return f"/{'gcs' if scheme == 'gs' else scheme}/{rest}"
