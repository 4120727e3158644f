"""Says why a client and a server do not come together, and what to do about it."""

import re
import socket
import ssl

from serving.base.errors import NoServerError
from serving.base.tls import ClientTls
from trainer.base.errors import UserError

_UNREACHED = ("failed to connect to all addresses", "DNS resolution failed")
"""What gRPC says when no request got as far as a server."""

_OTHER_TARGET = re.compile(r"(dns|ipv4|ipv6|unix|unix-abstract|vsock|xds|google-c2p):.+")
"""gRPC's own kinds of targets: https://grpc.github.io/grpc/core/md_doc_naming.html."""

_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:/\[\]@]+):(?P<port>[0-9]+)")

_NOBODY = (
    "no server answers there: start one (yt8m serve DIRECTORY), or correct the address HOST:PORT; yt8m predict and "
    "infer do without a server with --model DIRECTORY"
)

_PROBE_SECONDS = 2.0


def check_target(target: str) -> None:
    """Refuses what cannot be the address of a server.

    Args:
        target: HOST:PORT, or a target of one of gRPC's own kinds, such as dns:///HOST:PORT or unix:PATH.

    Raises:
        UserError: If it is neither, or the port is not one of 1 to 65535.
    """
    address = _HOST_AND_PORT.fullmatch(target)
    if address is None and _OTHER_TARGET.fullmatch(target):
        return
    if address is None:
        problem = "has no http://, only HOST:PORT" if "://" in target else "is HOST:PORT"
        raise UserError(f"the address of a server {problem}, such as localhost:8500. Received: {target!r}")
    if not 1 <= int(address["port"]) <= 65535:
        raise UserError(f"a port is a number from 1 to 65535. Received: {target!r}")


def no_server(target: str, details: str, tls: ClientTls | None) -> NoServerError | None:
    """Makes the error of an attempt that did not get as far as a server.

    Args:
        target: Address that was called.
        details: gRPC's text of the status UNAVAILABLE.
        tls: Certificates that it was called with; None for plain text.

    Returns:
        The error; None where a server was reached.
    """
    if not any(words in details for words in _UNREACHED):
        return None
    reason = details.rpartition("last error: ")[2]
    problem = _without_tls(target, details) if tls is None else _with_tls(details)
    return NoServerError(f"{target}: {problem} (UNAVAILABLE: {reason})")


def _without_tls(target: str, details: str) -> str:
    if "refused" not in details and _speaks_tls(target):
        return (
            "the server there speaks TLS: give --tls-ca, and where it wants to know its clients --tls-certificate and "
            "--tls-key"
        )
    if "http1" in details:
        return "what listens there speaks HTTP and not gRPC: give the server's gRPC port"
    return _NOBODY


def _with_tls(details: str) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in details:
        return (
            "TLS: the server's certificate is not of the authority in --tls-ca: give the one that signed it"
        )
    if "Peer name" in details or "Hostname" in details:
        return "TLS: the server's certificate is for another host name: call it by a name that is in its certificate"
    if "WRONG_VERSION_NUMBER" in details:
        return "the server there does not speak TLS: leave --tls-ca out"
    if "Socket closed" in details or "reset" in details or "handshake" in details.lower():
        return (
            "TLS: the server ends the connection: it may want a client's certificate that it trusts "
            "(--tls-certificate and --tls-key)"
        )
    return _NOBODY


def _speaks_tls(target: str) -> bool:
    """Says whether what listens at HOST:PORT answers a TLS greeting."""
    address = _HOST_AND_PORT.fullmatch(target)
    if address is None:
        return False
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    place = (address["host"].strip("[]"), int(address["port"]))
    try:
        with socket.create_connection(place, _PROBE_SECONDS) as connection, context.wrap_socket(connection):
            return True
    except OSError:
        return False
