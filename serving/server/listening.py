"""The addresses that a server is given: what cannot be is refused, and the HTTP port is taken."""

import errno
import socket

from trainer.base.addresses import is_http_url
from trainer.base.errors import UserError

_PROBLEMS = {
    errno.EADDRINUSE: "the port is taken: stop what listens there, or give another port (0 picks a free one)",
    errno.EADDRNOTAVAIL: "this machine does not have that address: give one of its own, 127.0.0.1 or 0.0.0.0",
    errno.EACCES: "ports below 1024 are for the system: give a higher one",
}


def host_and_port(host: str, port: int) -> str:
    """Returns HOST:PORT, with the brackets that an address of IPv6 needs."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def check_can_listen(host: str, port: int) -> None:
    """Tries to take a port, and gives it back at once.

    Args:
        host: Address or name of this machine.
        port: Number of the port, from 0 to 65535; 0 stands for any free one.

    Raises:
        UserError: If the host is no address of this machine, or the port cannot be taken.
    """
    try:
        (family, kind, _, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{host!r} is not an address to listen at ({reason}): give one such as 127.0.0.1 or 0.0.0.0, without a port"
        ) from None
    try:
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        problem = _PROBLEMS.get(error.errno, error.strerror)
        raise UserError(f"cannot listen at {host_and_port(host, port)}: {problem}") from None


def http_listener(host: str, port: int, backlog: int) -> socket.socket:
    """Returns the socket of an HTTP server.

    Args:
        host: Address or name of this machine; "::" takes IPv4 as well.
        port: Number of the port; 0 stands for any free one.
        backlog: Number of connections that may wait to be taken.

    Raises:
        UserError: If the port cannot be taken.
    """
    try:
        (family, *_), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return socket.create_server((host, port), family=family, backlog=backlog, dualstack_ipv6=host == "::")
    except OSError as error:
        raise UserError(
            f"cannot listen for HTTP at {host}:{port} ({error.strerror or error}): is the port taken?"
        ) from None


def check_endpoint(endpoint: str) -> None:
    """Refuses what cannot be a collector's address; raises UserError."""
    if not is_http_url(endpoint):
        raise UserError(
            f"the address of an OTLP collector is a URL such as http://localhost:4318. Received: {endpoint!r}"
        )
