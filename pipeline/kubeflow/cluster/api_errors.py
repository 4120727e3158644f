"""The errors of the API of Kubeflow Pipelines, each turned into one line that says what to do."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from google.auth.exceptions import GoogleAuthError
from kfp_server_api import ApiException, ApiValueError
from urllib3 import exceptions as http

from trainer.base.errors import OutsideError, UserError

_REMEDIES = {
    401: "it does not know who asks (401); give --token-file with a valid token, or --iap-client-id",
    403: "it does not allow this (403); another --namespace, or more rights",
    404: "there is no such thing (404); check what was named, and that --host is Kubeflow Pipelines",
    409: "it exists already (409)",
}

_TLS_SECONDS = 5
"""The most seconds that each step of a TLS handshake may take."""


class ClusterError(OutsideError):
    """The cluster did not do what it was asked, through no fault of the user; trying again may help."""


class WebPageError(Exception):
    """The answer is a web page instead of the API's JSON."""


class NoJsonError(Exception):
    """The answer is neither JSON nor a web page, or was cut short."""


@contextmanager
def plain_errors(host: str) -> Iterator[None]:
    """Turns what kfp.Client raises into a UserError or a ClusterError.

    Args:
        host: The address of the installation, as the message is to name it.

    Raises:
        UserError: If the address, the credentials or the request is wrong: HTTP 4xx, a refused connection, http:// to a
            port that speaks TLS, or https:// to one that does not.
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
    except ApiValueError as error:  # an id that should have been in an earlier answer
        raise UserError(
            f"{host} answers otherwise than the API of Kubeflow Pipelines ({error}): check --host"
        ) from error
    except NoJsonError as error:
        raise UserError(
            f"{host} answers with something that is no JSON: it is not the API of Kubeflow Pipelines, or what stands "
            "in between cut the answer; check --host, or try again"
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
        if "WRONG_VERSION_NUMBER" in str(error):
            return UserError(f"{host} does not speak TLS; give a URL with http://")
        return UserError(
            f"{host}: its certificate is not accepted: {error}; give its authority with --ca-file"
        )
    if isinstance(error, http.TimeoutError):
        return ClusterError(
            f"{host} did not answer in time; see yt8m runs for what it did, or a longer --timeout"
        )
    if host.startswith("http://") and _speaks_tls(host):
        return UserError(f"{host} speaks TLS; give a URL with https://")
    return ClusterError(f"{host}: the connection broke: {error}; see yt8m runs for what was done")


def _speaks_tls(host: str) -> bool:
    """Whether a server hands out a certificate, whoever signed it."""
    address = urlsplit(host)
    try:
        ssl.get_server_certificate((address.hostname, address.port or 80), timeout=_TLS_SECONDS)
    except (OSError, ValueError):
        return False
    return True


def _message(body: str | None) -> str:
    """Returns what the backend says itself, in the field `message`, or `error_message` after an upload."""
    try:
        answer = json.loads(body or "")
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    return str(answer.get("message") or answer.get("error_message") or answer.get("error") or "")
