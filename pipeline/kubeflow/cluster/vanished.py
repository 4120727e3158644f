"""Finds out whether a run that is said to go on has lost its workflow.

Kubeflow Pipelines keeps runs in a database, which is told of a workflow's states but not of its deletion: a run whose
workflow is deleted says RUNNING for ever.
"""

from collections.abc import Callable
from typing import Any

from kfp_server_api import ApiException

from pipeline.kubeflow.cluster.api_client import ApiClient
from pipeline.kubeflow.cluster.kubernetes_api import INSTALLATION_NAMESPACE, KubernetesApi, NotAskableError

_LOOKS = 2
"""How many times in a row a workflow must be missing: a run may end between the two questions of one look."""


class WorkflowLook:
    """Looks for a run's workflow again and again.

    Kubernetes is believed only when it is known to be the cluster of the installation: it has, or had, a workflow of
    a run that the installation knows. Where it cannot be asked, the schedule that started the run tells: servers
    before 2.16 do not delete a schedule without the workflows that it has started.

    Args:
        client: The connected client.
        kubernetes: The cluster of kubectl's current context; None to ask none.
        say: Called with a line when the workflow may be gone.
    """

    def __init__(
        self, client: ApiClient, kubernetes: KubernetesApi | None, say: Callable[[str], None]
    ) -> None:
        self._client = client
        self._kubernetes = kubernetes
        self._say = say
        self._namespace = ""
        self._proven = False
        self._missing = 0
        self._told = False

    def is_gone(self, run: Any) -> bool:
        """Returns whether a run that has not ended has no workflow any more.

        Args:
            run: The run as the API returns it.
        """
        self._namespace = self._namespace or self._namespace_of(run)
        there = self._in_kubernetes(run.run_id)
        if there is not None:
            self._missing = 0 if there else self._missing + 1
            return self._missing >= _LOOKS
        return self._went_with_its_schedule(run)

    def _namespace_of(self, run: Any) -> str:
        """Returns the namespace of a run's workflow, which may be another than the one that was asked for."""
        experiment = self._client.get_experiment(run.experiment_id) if run.experiment_id else None
        return (experiment and experiment.namespace) or self._client.namespace or INSTALLATION_NAMESPACE

    def _in_kubernetes(self, run_id: str) -> bool | None:
        if self._kubernetes is None:
            return None
        try:
            if self._kubernetes.run_ids(self._namespace, run_id):
                self._proven = True
                return True
            self._proven = self._proven or any(
                map(self._is_known, self._kubernetes.run_ids(self._namespace)[:_LOOKS])
            )
        except NotAskableError:
            self._kubernetes = None
            return None
        return False if self._proven else None

    def _is_known(self, run_id: str) -> bool:
        return _exists(self._client.get_run, run_id)

    def _went_with_its_schedule(self, run: Any) -> bool:
        if not run.recurring_run_id or self._told:
            return False
        if _exists(self._client.get_recurring_run, run.recurring_run_id):
            return False
        version = self._client.server_version()
        if version.release and not version.keeps_runs_of_deleted_schedules:
            return True
        self._told = True
        self._say(
            f"the schedule that started {run.display_name} is deleted; unless that was done by yt8m, its workflow is "
            f"gone with it, and the run will say RUNNING for ever: kubectl -n {self._namespace} get workflows "
            f"-l pipeline/runid={run.run_id}"
        )
        return False


def _exists(get: Callable[[str], Any], identity: str) -> bool:
    try:
        get(identity)
    except ApiException as error:
        if error.status == 404:
            return False
        raise
    return True
