"""Leads TensorFlow's own gs:// to the emulator.

TensorFlow's file system for Cloud Storage knows no STORAGE_EMULATOR_HOST and no host but Google's. But libcurl, by
which it talks, honours `https_proxy`, and TensorFlow honours CURL_CA_BUNDLE: here is a proxy that answers for Google's
hosts itself, with a certificate of the test's own. A process must have the environment before its first gs:// request.
"""

import ssl
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.gcs_emulator import GcsEmulator, Handler
from tests.serving.certificates import Authority

_HOSTS = ("storage.googleapis.com", "www.googleapis.com")


class GcsProxy:
    """A proxy for one emulator, while a `with` block lasts.

    Attributes:
        environment: Of a process whose gs:// is to be the emulator's bucket.
    """

    def __init__(self, emulator: GcsEmulator, directory: Path) -> None:
        authority = Authority(directory, "ca")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("google", _HOSTS))
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Connect, emulator, context))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=partial(self._http.serve_forever, 0.01), daemon=True)
        self.environment = {
            "https_proxy": f"http://127.0.0.1:{self._http.server_port}",
            "no_proxy": "",
            "CURL_CA_BUNDLE": authority.ca,
            "GOOGLE_AUTH_TOKEN_FOR_TESTING": "token",
            "NO_GCE_CHECK": "true",
        }

    def __enter__(self) -> "GcsProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Connect(BaseHTTPRequestHandler):
    def __init__(self, emulator: GcsEmulator, context: ssl.SSLContext, *args: Any) -> None:
        self._emulator, self._context = emulator, context
        super().__init__(*args)

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def __getattr__(self, name: str) -> Any:
        if name == "do_CONNECT":
            return self._connect
        raise AttributeError(name)

    def _connect(self) -> None:
        if self.path.partition(":")[0] not in _HOSTS:
            self.send_error(502)
            return
        self.send_response(200)
        self.end_headers()
        with self._context.wrap_socket(self.connection, server_side=True) as stream:
            _TlsHandler(self._emulator, stream, self.client_address, self.server)
        self.close_connection = True


class _TlsHandler(Handler):
    def answer(self, content: bytes) -> None:
        """The emulator thinks that it is asked without TLS."""
        super().answer(content.replace(b"Location: http://", b"Location: https://"))
