"""The connection to the API of Kubeflow Pipelines: kfp.Client with time limits and without its own messages."""

import io
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import Any

import kfp_server_api
import urllib3
from kfp.client import Client
from kfp_server_api.rest import RESTClientObject

from pipeline.kubeflow.cluster.api_errors import NoJsonError, WebPageError, plain_errors
from pipeline.kubeflow.cluster.server_version import ServerVersion, from_health_check
from pipeline.kubeflow.cluster.target import IN_CLUSTER, Target
from trainer.base.errors import UserError

_RETRIES = 3
"""How often a question is asked again while the server cannot be reached, or a proxy answers in its place."""

_RETRY_BACKOFF_SECONDS = 0.5
_PAGE_SIZE = 100

ENDED_STATES = frozenset(("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED", "ERROR"))
"""The states of a run whose workflow does nothing any more. The wait of kfp.Client does not know CANCELED."""


@contextmanager
def connected(target: Target) -> Iterator["ApiClient"]:
    """Connects to an installation, and turns what kfp.Client raises into errors of one line (see `plain_errors`).

    Raises:
        UserError: If the address, the credentials or a request is wrong.
        ClusterError: If the cluster is at fault.
    """
    # kfp.Client prints links, and how to sign in; standard output is the verbs' own.
    with plain_errors(target.host), redirect_stdout(sys.stderr):
        yield ApiClient(target)


class ApiClient(Client):
    """A kfp.Client that waits no longer than its time limit, and that refuses a web page as an answer.

    Args:
        target: The installation, its time limit included.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        in_cluster = target.host == IN_CLUSTER
        # It prints that there is no configuration of kubectl, and then says so by an exception.
        with redirect_stdout(io.StringIO()) if in_cluster else nullcontext():
            super().__init__(
                host=None if in_cluster else target.host,
                client_id=target.iap_client_id,
                ssl_ca_cert=target.ca_file,
            )
        # All of its services share this.
        self._healthz_api.api_client.rest_client = _Rest(self._existing_config, target.timeout)
        if target.namespace:
            self._context_setting["namespace"] = target.namespace

    @property
    def host(self) -> str:
        """The address of the installation as the user wrote it."""
        return self._target.host

    @property
    def namespace(self) -> str | None:
        """The Kubernetes namespace of the pipelines and runs; None in a single-user installation."""
        return self.get_user_namespace() or None

    def server_version(self) -> ServerVersion:
        """Asks the server for its version; kfp.Client has no field for it."""
        return from_health_check(self._ask("GET", "healthz"))

    def delete_recurring_run(self, recurring_run_id: str) -> dict:
        """Deletes a recurring run. The workflows that it has started go on, if the server can let them.

        A server that cannot (`ServerVersion.keeps_runs_of_deleted_schedules`) lets Kubernetes delete them as well.
        """
        return self._ask(
            "DELETE", f"recurringruns/{recurring_run_id}", query_params=[("propagation_policy", "ORPHAN")]
        )

    def link(self, kind: str, identity: str) -> str:
        """Returns the address of a page of the user interface; kind is `runs` or `recurringrun`."""
        return f"{self._get_url_prefix()}/#/{kind}/details/{identity}"

    def get_kfp_healthz(self, sleep_duration: int = 0) -> kfp_server_api.V2beta1GetHealthzResponse:
        """Asks once. The method of kfp.Client asks five times and then hides what was wrong."""
        del sleep_duration
        try:
            answer = self._healthz_api.healthz_service_get_healthz(
                _request_timeout=(self._target.timeout,) * 2
            )
        except UnicodeDecodeError:
            raise NoJsonError from None
        # kfp.Client asks before `_Rest` is there, and takes a text or nothing for an answer.
        if not isinstance(answer, kfp_server_api.V2beta1GetHealthzResponse):
            raise NoJsonError
        return answer

    def set_user_namespace(self, namespace: str) -> None:
        """Sets the namespace of this client alone; kfp.Client writes it to the user's home directory."""
        self._context_setting["namespace"] = namespace

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Sends a request for which the oldest supported kfp.Client has no method, and returns the JSON answer."""
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
    """Yields the items of a list of the API, page by page.

    Args:
        ask: The method of the client that lists, such as `client.list_runs`.
        field: The field of the answer that holds the items, such as `runs`.
        arguments: Further arguments for `ask`, such as a namespace.
    """
    token = ""
    while True:
        answer = ask(page_token=token, page_size=_PAGE_SIZE, **arguments)
        yield from getattr(answer, field) or ()
        token = answer.next_page_token
        if not token:
            return


def _token_reader(path: str) -> Callable[[kfp_server_api.Configuration], None]:
    """Returns the function that the client calls before each request to read the newest token."""

    def read(config: kfp_server_api.Configuration) -> None:
        with open(path, "rb") as file:
            token = file.read().strip()
        if not re.fullmatch(rb"[!-~]+", token):
            raise UserError(
                f"--token-file {path}: {'it is empty' if not token else 'it holds more than a token'}; it must hold a "
                "bearer token and nothing else"
            )
        config.api_key["authorization"] = token.decode()

    return read


class _Rest(RESTClientObject):
    """Sends requests with a time limit, which kfp.Client does not set."""

    def __init__(self, configuration: kfp_server_api.Configuration, timeout: int) -> None:
        super().__init__(configuration)
        self._timeout = timeout

    def request(self, method: str, url: str, **options: Any) -> Any:
        """Does what RESTClientObject does; raises WebPageError or NoJsonError where the answer is none."""
        try:
            response = super().request(method, url, **{**options, "_request_timeout": (self._timeout,) * 2})
        except UnicodeDecodeError:
            raise NoJsonError from None
        if "html" in (response.getheader("content-type") or ""):
            raise WebPageError(url)
        if response.data:
            _check_json(response.data)
        return response


def _check_json(answer: str | bytes) -> None:
    # kfp_server_api takes what is no JSON for a text, in which it then finds no run and no schedule. The API answers
    # with objects.
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise NoJsonError
