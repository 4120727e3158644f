"""Asks the Kubernetes API of a cluster, with kubectl's current context or as the pod in which this process runs."""

import os
from typing import Any

import kubernetes
import urllib3

INSTALLATION_NAMESPACE = "kubeflow"
"""The namespace of Kubeflow Pipelines Standalone and of its runs."""

_RUN_ID = "pipeline/runid"
"""The label of a workflow that holds the id of its run."""

_CONNECT_SECONDS = 5


class NotAskableError(Exception):
    """There is no Kubernetes API to ask, or it gives no answer; the text says why in one line.

    Attributes:
        status: The HTTP status of the refusal; None where there was no answer.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class KubernetesApi:
    """Reads from the Kubernetes API; it changes nothing.

    Args:
        timeout: The most seconds that an answer may take.

    Attributes:
        context: The name of kubectl's context, for messages.

    Raises:
        NotAskableError: If this is no pod with a service account, and kubectl has no current context.
    """

    def __init__(self, timeout: int) -> None:
        configuration = kubernetes.client.Configuration()
        configuration.retries = False
        try:
            kubernetes.config.load_incluster_config(client_configuration=configuration)
            self.context = "this pod's cluster"
        except kubernetes.config.ConfigException:
            # kubernetes reads the variable when it is imported, which may be too early.
            file = os.environ.get("KUBECONFIG", "~/.kube/config")
            try:
                kubernetes.config.load_kube_config(file, client_configuration=configuration)
                self.context = kubernetes.config.list_kube_config_contexts(file)[1]["name"]
            except (kubernetes.config.ConfigException, OSError) as error:
                reason = " ".join(str(error).split())
                raise NotAskableError(f"kubectl has no context to ask with: {reason}") from error
        self._client = kubernetes.client.ApiClient(configuration)
        self._timeout = timeout

    @classmethod
    def or_reason(cls, timeout: int) -> "KubernetesApi | str":
        """Returns the API, or why there is none to ask."""
        try:
            return cls(timeout)
        except NotAskableError as error:
            return str(error)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Returns the answer to a GET request, such as for `/api/v1/nodes`.

        Raises:
            NotAskableError: If there is no answer, or it is a refusal.
        """
        try:
            return self._client.call_api(
                path,
                "GET",
                query_params=[*query.items()],
                header_params={"Accept": "application/json"},
                response_type="object",
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _request_timeout=(_CONNECT_SECONDS, self._timeout),
            )
        except kubernetes.client.ApiException as error:
            raise NotAskableError(f"{path}: {error.status} {error.reason}", error.status) from error
        except urllib3.exceptions.HTTPError as error:
            raise NotAskableError(f"{path}: {' '.join(str(error).split())[:200]}") from error

    def run_ids(self, namespace: str, run_id: str | None = None) -> list[str]:
        """Returns the ids of the runs that have a workflow in a namespace; of one run alone, if its id is given."""
        selector = _RUN_ID if run_id is None else f"{_RUN_ID}={run_id}"
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/workflows"
        items = self.get(path, labelSelector=selector, limit="50").get("items") or ()
        return [item["metadata"]["labels"][_RUN_ID] for item in items]
