"""The connection to the API of Kubeflow Pipelines: kfp.Client, with time limits, and quiet."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import kfp_server_api
import urllib3
from kfp.client import Client
from kfp_server_api.rest import RESTClientObject

from pipeline.kubeflow.api_errors import WebPageError, plain_errors
from pipeline.kubeflow.server_version import ServerVersion, from_health_check
from pipeline.kubeflow.target import IN_CLUSTER, Target
from trainer.base.errors import UserError

_RETRIES = 3
"""How often a question is put again while nobody answers, or a proxy says that nobody does."""

_RETRY_BACKOFF_SECONDS = 0.5
_PAGE_SIZE = 100


@contextmanager
def connected(target: Target) -> Iterator["ApiClient"]:
    """A client whose faults are a line each: see `plain_errors`.

    Raises:
        UserError: If the address, the credentials or a request is wrong.
        ClusterError: If the cluster is at fault.
    """
    # kfp.Client prints links, and how to sign in; standard output is the verbs' own.
    with plain_errors(target.host), redirect_stdout(sys.stderr):
        yield ApiClient(target)


class ApiClient(Client):
    """kfp.Client that waits no longer than it is told, and does not take a web page for an answer."""

    def __init__(self, target: Target) -> None:
        self._target = target
        super().__init__(
            host=None if target.host == IN_CLUSTER else target.host,
            client_id=target.iap_client_id,
            ssl_ca_cert=target.ca_file,
        )
        # All of its services share this.
        self._healthz_api.api_client.rest_client = _Rest(self._existing_config, target.timeout)
        if target.namespace:
            self._context_setting["namespace"] = target.namespace

    @property
    def host(self) -> str:
        """As the user wrote it."""
        return self._target.host

    @property
    def namespace(self) -> str | None:
        """Whose pipelines and runs this is about; None in a single-user installation."""
        return self.get_user_namespace() or None

    def server_version(self) -> ServerVersion:
        """Asks the server for its version, of which kfp.Client's own model of the answer has no field."""
        return from_health_check(self._ask("GET", "healthz"))

    def delete_recurring_run(self, recurring_run_id: str) -> dict:
        """Deletes a recurring run; the workflows that it has started go on, where the server can do that.

        Where it cannot (`ServerVersion.keeps_runs_of_deleted_schedules`), Kubernetes deletes them with it.
        """
        return self._ask(
            "DELETE", f"recurringruns/{recurring_run_id}", query_params=[("propagation_policy", "ORPHAN")]
        )

    def link(self, kind: str, identity: str) -> str:
        """Address of a page of the user interface; kind is `runs` or `recurringrun`."""
        return f"{self._get_url_prefix()}/#/{kind}/details/{identity}"

    def get_kfp_healthz(self, sleep_duration: int = 0) -> kfp_server_api.V2beta1GetHealthzResponse:
        """Asks once: kfp.Client asks five times and then hides what was the matter."""
        del sleep_duration
        return self._healthz_api.healthz_service_get_healthz(_request_timeout=(self._target.timeout,) * 2)

    def set_user_namespace(self, namespace: str) -> None:
        """For this client alone: kfp.Client writes it into the user's home."""
        self._context_setting["namespace"] = namespace

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """What the API says to a request for which the oldest client has no method."""
        return self._healthz_api.api_client.call_api(
            f"/apis/v2beta1/{path}",
            method,
            header_params={"Accept": "application/json"},
            response_type="object",
            auth_settings=["Bearer"],
            _return_http_data_only=True,
            **options,
        )

    def _load_config(
        self, host: str | None, client_id: str | None, *others: Any
    ) -> kfp_server_api.Configuration:
        in_cluster, token_file = self._target.host == IN_CLUSTER, self._target.token_file
        config = super()._load_config(
            None if in_cluster else host, None if token_file else client_id, *others
        )
        if in_cluster and config.host == kfp_server_api.Configuration().host:
            raise UserError(
                f"--host {IN_CLUSTER}: this is no pod, and kubectl has no current context; give a URL"
            )
        if token_file:
            config.api_key_prefix["authorization"] = "Bearer"
            config.refresh_api_key_hook = _token_reader(token_file)
            config.refresh_api_key_hook(config)
        # Only questions are put again: whether a command was obeyed nobody knows.
        config.retries = urllib3.Retry(
            _RETRIES,
            backoff_factor=_RETRY_BACKOFF_SECONDS,
            status_forcelist=(502, 503, 504),
            allowed_methods=("GET",),
            raise_on_status=False,
        )
        return config


def pages(ask: Callable[..., Any], field: str, **arguments: Any) -> Iterator[Any]:
    """The items of a list of the API, over all its pages.

    Args:
        ask: Such as `client.list_runs`.
        field: Of the answer, such as `runs`.
        arguments: Of `ask`.
    """
    token = ""
    while True:
        answer = ask(page_token=token, page_size=_PAGE_SIZE, **arguments)
        yield from getattr(answer, field) or ()
        token = answer.next_page_token
        if not token:
            return


def _token_reader(path: str) -> Callable[[kfp_server_api.Configuration], None]:
    """What the client calls before each request, to have its token."""

    def read(config: kfp_server_api.Configuration) -> None:
        with open(path, encoding="utf-8") as file:
            config.api_key["authorization"] = file.read().strip()

    return read


class _Rest(RESTClientObject):
    """Requests with a time limit, where kfp.Client has none."""

    def __init__(self, configuration: kfp_server_api.Configuration, timeout: int) -> None:
        super().__init__(configuration)
        self._timeout = timeout

    def request(self, method: str, url: str, **options: Any) -> Any:
        """See RESTClientObject; raises WebPageError as well."""
        response = super().request(method, url, **{**options, "_request_timeout": (self._timeout,) * 2})
        if "html" in (response.getheader("content-type") or ""):
            raise WebPageError(url)
        return response
