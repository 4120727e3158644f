"""gcp-storage-emulator on loopback, in memory, with what it lacks and publishing depends on.

The emulator (2026.7) ignores preconditions, takes half an upload of a client that died for a whole one, does not
change `updated` on a patch, and ignores the metadata given with a rewrite. Here a request is one step under one
lock: it is refused with 412 when an object is not of the generation asked for
(https://cloud.google.com/storage/docs/request-preconditions), and does not happen at all when its body ends early.
"""

import copy
import io
import json
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.handlers.objects import _checksums, _make_object_resource
from gcp_storage_emulator.server import Response, Router
from gcp_storage_emulator.storage import Storage

BUCKET = "bucket"

_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class _Storage(Storage):
    def _write_config_to_file(self) -> None:
        """Not in memory: it would write everything anew at every request."""


class GcsEmulator:
    """A server with one bucket, while a `with` block lasts.

    Attributes:
        host: For STORAGE_EMULATOR_HOST.
        before: Called before each request with its method and path; a status that it returns is the answer.
        after_change: Called after each request that may have changed something, before its answer.
        loses: Called before each answer with the request's method and path; the client gets none where it says so.
    """

    def __init__(self) -> None:
        self.storage = _Storage(use_memory_fs=True)
        create_bucket(BUCKET, self.storage)
        self.storage.buckets[BUCKET]["softDeletePolicy"] = {"retentionDurationSeconds": 0}
        self.lock = threading.RLock()
        self.after_change: Callable[[], None] = lambda: None
        self.before: Callable[[str, str], HTTPStatus | None] = lambda method, path: None
        self.loses: Callable[[str, str], bool] = lambda method, path: False
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, self))
        self._http.daemon_threads = True
        self._faults: list[BaseException] = []
        self._http.handle_error = self._note
        self._thread = threading.Thread(target=partial(self._http.serve_forever, 0.01), daemon=True)
        self.host = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> "GcsEmulator":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        assert self._faults == []

    def _note(self, *_: object) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):  # clients are killed here
            self._faults.append(error)

    def save(self) -> Any:
        """What the bucket holds, for `restore`."""
        with self.lock:
            return copy.deepcopy((self.storage.objects, self.storage._store._files))

    def restore(self, saved: Any) -> None:
        """Puts back what was saved."""
        with self.lock:
            self.storage.objects, self.storage._store._files = copy.deepcopy(saved)

    def age(self, seconds: float) -> None:
        """As if nothing had happened in the bucket for so long."""
        with self.lock:
            for found in self.storage.objects.get(BUCKET, {}).values():
                before = datetime.fromisoformat(found["updated"]) - timedelta(seconds=seconds)
                found["updated"] = before.strftime(_TIME)

    def contents(self, below: str = "") -> dict[str, bytes]:
        """All objects of the bucket below a prefix, by the rest of their name."""
        with self.lock:
            return {
                name.removeprefix(below): self.storage.get_file(BUCKET, name)
                for name in sorted(self.storage.objects.get(BUCKET, {}))
                if name.startswith(below)
            }


class Handler(BaseHTTPRequestHandler):
    """Answers one request out of an emulator."""

    def __init__(self, emulator: GcsEmulator, *args: Any) -> None:
        self._emulator = emulator
        self.storage = emulator.storage
        super().__init__(*args)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # what http.server calls, do_GET and so on
            return self._answer
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def _answer(self) -> None:
        body = self._body()
        if body is None:
            return
        status = self._emulator.before(self.command, self.path)
        client, self.rfile, self.wfile = self.wfile, io.BytesIO(body), io.BytesIO()
        with self._emulator.lock:
            if status is None and not self._allowed(body):
                status = HTTPStatus.PRECONDITION_FAILED
            if status is None:
                if body or "uploadType=media" not in self.path:
                    Router(self).handle(self.command)
                else:
                    self._make_empty()
                self._complete(body)
                if self.command != "GET":
                    self._emulator.after_change()
            else:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
        answer, self.wfile = self.wfile.getvalue(), client
        if not self._emulator.loses(self.command, self.path):
            self.answer(answer)

    def _body(self) -> bytes | None:
        """Of the request; None when it did not arrive whole."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size)
            return body if len(body) == size else None
        body = b""
        while size := int(self.rfile.readline().strip() or b"0", 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        # TensorFlow gives the length as well, which the emulator would take for that of the chunks.
        del self.headers["Transfer-Encoding"], self.headers["Content-Length"]
        self.headers["Content-Length"] = str(len(body))
        return body

    def answer(self, content: bytes) -> None:
        """Sends the bytes of an answer."""
        self.wfile.write(content)

    def _make_empty(self) -> None:
        """What TensorFlow marks a directory with, and the emulator fails at."""
        name = self._names(b"")[0]
        made = _make_object_resource("", BUCKET, name, "application/octet-stream", "0")
        self.storage.create_file(BUCKET, name, b"", _checksums(b"", made))
        answer = Response(self)
        answer.json(made)
        answer.close()

    def _names(self, body: bytes) -> tuple[str | None, str | None]:
        """The object that a request writes, and the one it copies from."""
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        if "name" in query:
            return query["name"][0], None
        if "upload_id" in query:
            return self._emulator.storage.resumable[query["upload_id"][0]]["name"], None
        _, _, names = address.path.partition(f"/b/{BUCKET}/o")
        source, rewritten, target = names.strip("/").partition(f"/rewriteTo/b/{BUCKET}/o/")
        if rewritten:
            return unquote(target), unquote(source)
        if source:
            return unquote(source), None
        if b"\r\n" in body:  # a multipart upload: the metadata is its first part
            return json.loads(body.split(b"\r\n\r\n", 1)[1].split(b"\r\n", 1)[0])["name"], None
        return (json.loads(body)["name"], None) if query.get("uploadType") == ["resumable"] else (None, None)

    def _allowed(self, body: bytes) -> bool:
        query = parse_qs(urlsplit(self.path).query)
        wanted = [query.get(key, [None])[0] for key in ("ifGenerationMatch", "ifSourceGenerationMatch")]
        if wanted == [None, None]:
            return True
        objects = self._emulator.storage.objects.get(BUCKET, {})
        there = [objects.get(name, {}).get("generation", "0") for name in self._names(body)]
        return all(want in (None, have) for want, have in zip(wanted, there, strict=True))

    def _complete(self, body: bytes) -> None:
        rewritten = "/rewriteTo/" in self.path
        if self.command != "PATCH" and not rewritten:
            return
        target = self._emulator.storage.objects[BUCKET].get(self._names(body)[0])
        if target is None:
            return
        if rewritten and "metadata" in json.loads(body or b"{}"):
            target["metadata"] = json.loads(body)["metadata"]
        target["updated"] = datetime.now(UTC).strftime(_TIME)
