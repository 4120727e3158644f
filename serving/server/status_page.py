"""The HTTP port, with metrics for Prometheus, and liveness and readiness for what keeps the server running."""

import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from trainer.base.errors import UserError

METRICS = ("/metrics", "/monitoring/prometheus/metrics")
"""The second is where TensorFlow Serving has them."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing: a line for every scrape and probe would be no news."""


class StatusPage:
    """Serves /metrics, /healthz (200 while the process lives) and /readyz (200 while requests are taken).

    Args:
        registry: Holds the metrics.
        ready: Says whether requests are taken.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.

    Raises:
        UserError: If the port is taken.
    """

    def __init__(self, registry: CollectorRegistry, ready: Callable[[], bool], host: str, port: int) -> None:
        self._metrics = make_wsgi_app(registry)
        self._ready = ready
        try:
            self._server = make_server(host, port, self._answer, ThreadingWSGIServer, _Quiet)
        except OSError as error:
            raise UserError(
                f"cannot listen for HTTP at {host}:{port} ({error.strerror}): is the port taken?"
            ) from None
        self.port: int = self._server.server_port
        """The port that is listened at."""
        self._thread = threading.Thread(target=self._server.serve_forever, name="status-page", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path in METRICS:
            return self._metrics(environ, start_response)
        if path == "/healthz":
            status, text = "200 OK", "alive"
        elif path == "/readyz":
            status, text = ("200 OK", "ready") if self._ready() else ("503 Service Unavailable", "not ready")
        else:
            status, text = "404 Not Found", "there are /metrics, /healthz and /readyz"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [text.encode() + b"\n"]
