"""What can go wrong between here and the API of Kubeflow Pipelines, each as one line that says what to do."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from google.auth.exceptions import GoogleAuthError
from kfp_server_api import ApiException
from urllib3 import exceptions as http

from trainer.base.errors import OutsideError, UserError

_REMEDIES = {
    401: "it does not know who asks (401); give --token-file with a valid token, or --iap-client-id",
    403: "it does not allow this (403); another --namespace, or more rights",
    404: "there is no such thing (404)",
    409: "it exists already (409)",
}


class ClusterError(OutsideError):
    """The cluster did not do what it was asked, and that is not the user's fault: to be tried again."""


class WebPageError(Exception):
    """A web page came where the API's JSON should be."""


@contextmanager
def plain_errors(host: str) -> Iterator[None]:
    """Turns what kfp.Client raises into a UserError or a ClusterError.

    Args:
        host: For the text.

    Raises:
        UserError: If the address, the credentials or the request is wrong: HTTP 4xx, a refused connection.
        ClusterError: If the cluster is at fault, or slow: HTTP 5xx and 429, a time-out, a broken connection.
    """
    try:
        yield
    except ApiException as error:
        raise _of_status(host, error) from error
    except http.MaxRetryError as error:
        raise _of_connection(host, error.reason or error) from error
    except http.HTTPError as error:
        raise _of_connection(host, error) from error
    except WebPageError as error:
        raise UserError(
            f"{host} answers with a web page, not as the API of Kubeflow Pipelines: the address is another one, or "
            "wants a sign-in first (--iap-client-id, --token-file)"
        ) from error
    except GoogleAuthError as error:
        raise UserError(
            f"{host}: no Google credentials for it: {error}; gcloud auth application-default login, or --token-file"
        ) from error


def _of_status(host: str, error: ApiException) -> Exception:
    said = _message(error.body)
    if error.status == 429 or error.status >= 500:
        return ClusterError(
            f"{host}: {error.status} {error.reason}: {said or 'no reason given'}; try again later"
        )
    remedy = _REMEDIES.get(error.status, f"it refuses that ({error.status})")
    if error.status == 404 and not said:
        remedy = "no API of Kubeflow Pipelines is there (404); --host takes what comes before /apis/v2beta1"
    return UserError(f"{host}: {remedy}{': ' if said else ''}{said}")


def _of_connection(host: str, error: Exception) -> Exception:
    if isinstance(error, http.NewConnectionError | http.LocationValueError | http.ProxyError):
        said = str(error).partition(": ")[2] or error  # without the connection object's name
        return UserError(f"{host} cannot be reached: {said}; check --host, and that the port forwarding runs")
    if isinstance(error, http.SSLError):
        return UserError(
            f"{host}: its certificate is not accepted: {error}; give its authority with --ca-file"
        )
    if isinstance(error, http.TimeoutError):
        return ClusterError(
            f"{host} did not answer in time; see yt8m runs for what it did, or a longer --timeout"
        )
    return ClusterError(f"{host}: the connection broke: {error}; see yt8m runs for what was done")


def _message(body: str | None) -> str:
    """What the backend says itself: the field `message`, or `error_message` of an upload."""
    try:
        answer = json.loads(body or "")
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    return str(answer.get("message") or answer.get("error_message") or answer.get("error") or "")
