"""What two versions of Kubeflow Pipelines do differently around a task.

Source: the tags 2.14.3 and 2.17.0 of kubeflow/pipelines, backend/src/v2 and
manifests/kustomize/third-party/argo/base/workflow-controller-configmap-patch.yaml.
"""

import enum
import posixpath
from dataclasses import dataclass


class ControllerRetryPolicy(enum.StrEnum):
    """After which ends Argo starts a task again, as long as the task's own policy counts on."""

    ON_FAILURE = "OnFailure"
    """After its container failed: a non-zero exit, or too much memory."""

    ON_ERROR = "OnError"
    """After its pod was taken away: deleted, or drained with a spot node."""

    ALWAYS = "Always"
    """After both."""

    def covers(self, pod_deleted: bool) -> bool:
        """Whether a task starts again after such an end."""
        return self is ControllerRetryPolicy.ALWAYS or pod_deleted == (self is ControllerRetryPolicy.ON_ERROR)


@dataclass(frozen=True)
class Backend:
    """A version of the backend.

    Attributes:
        version: Its first two numbers.
        retry_policy: Of its workflow controller, which holds for every task: a compiled file has no field for it.
        default_retries: How often a task without a policy of its own starts again.
        names_outputs: Whether the output artifacts that a container is given have names.
        numbers_logs: Whether the address of `executor-logs` ends with the number of the attempt.
        output_file_beside_outputs: Whether ExecutorOutput is written where the launcher's local copies of the
            outputs are; otherwise it has a place of its own, whose directory the container makes.
        caches_by_claim: Whether a task with other volumes is another task to the cache.
        offloads_arguments: Whether the root driver may be told a pipeline of more than 128 KiB, in a file.
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
        """Where in its pod a container writes its ExecutorOutput.

        Args:
            task_root: Address of the task's outputs, such as gs://bucket/root/pipeline/run/task/uuid.
        """
        if not self.output_file_beside_outputs:
            return "/tmp/kfp_outputs/output_metadata.json"
        return posixpath.join(local_path(task_root), "output_metadata.json")

    def logs_address(self, address: str, attempt: int) -> str:
        """Where the log of an attempt goes, the first being 1."""
        return f"{address}-{attempt - 1}" if self.numbers_logs else address


BACKENDS = {
    "2.14": Backend("2.14", ControllerRetryPolicy.ON_FAILURE, 0, False, False, False, False, False),
    "2.17": Backend("2.17", ControllerRetryPolicy.ON_ERROR, 2, True, True, True, True, True),
}
"""The versions that a rehearsal knows, by their first two numbers."""

DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"
"""Where artifacts go when neither the file nor the run says."""


def local_path(address: str) -> str:
    """Where in a pod the launcher keeps its copy of what lies at an address.

    >>> local_path("gs://bucket/root/model")
    '/gcs/bucket/root/model'
    """
    scheme, rest = address.split("://")
    return f"/{'gcs' if scheme == 'gs' else scheme}/{rest}"
