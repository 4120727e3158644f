"""A local HTTP server that speaks the paths of the v2beta1 API that kfp.Client calls, and remembers every request."""

import datetime
import email
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KINDS = {
    "pipelines": "pipeline_id",
    "versions": "pipeline_version_id",
    "experiments": "experiment_id",
    "runs": "run_id",
    "recurringruns": "recurring_run_id",
}
LISTS = {"versions": "pipeline_versions", "recurringruns": "recurringRuns"}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class FakeKubeflow:
    """What the server has; tests put things in and look at them.

    Attributes:
        things: By kind, in order of creation.
        requests: All that came.
        failures: Regular expression of "METHOD /path": status, body and content type that it gets instead.
        delays: The same: seconds to wait.
        page_size: The most that a list gives at once.
    """

    url: str = ""
    things: dict[str, list[dict]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    requests: list[Request] = field(default_factory=list)
    failures: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    page_size: int = 1000
    multi_user: bool = False

    def lines(self, method: str = "POST") -> list[str]:
        return [request.line for request in self.requests if request.method == method]

    def fail(self, pattern: str, status: int, message: str = "the reason") -> None:
        self.failures[pattern] = (status, json.dumps({"code": 3, "message": message}), "application/json")

    def make(self, kind: str, **fields: Any) -> dict:
        number = sum(map(len, self.things.values())) + 1
        stamp = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC) + datetime.timedelta(minutes=number)
        thing = {
            KINDS[kind]: f"{kind}-{number}",
            "created_at": stamp.isoformat().replace("+00:00", "Z"),
            **fields,
        }
        self.things[kind].append(thing)
        return thing

    def answer(self, request: Request) -> tuple[int, str, str]:
        for pattern, seconds in self.delays.items():
            if re.search(pattern, request.line):
                time.sleep(seconds)
        for pattern, failure in self.failures.items():
            if re.search(pattern, request.line):
                return failure
        found = self._handle(request, request.path.removeprefix("/apis/v2beta1/"))
        if found is None:
            return 404, json.dumps({"code": 5, "message": f"{request.path} not found"}), "application/json"
        return 200, json.dumps(found), "application/json"

    def _handle(self, request: Request, path: str) -> Any:
        if path == "healthz":
            return {"multi_user": self.multi_user}
        if path == "pipelines/upload_version":
            return self.make(
                "versions",
                pipeline_id=request.query["pipelineid"],
                display_name=request.query["name"],
                content=request.body,
            )
        if match := re.fullmatch(r"pipelines/([^/]+)/versions", path):
            return self._list("versions", request.query, pipeline_id=match[1])
        kind, _, rest = path.partition("/")
        if not rest:
            return (
                self._create(kind, request.body)
                if request.method == "POST"
                else self._list(kind, request.query)
            )
        identity, _, action = rest.partition(":")
        thing = next((one for one in self.things[kind] if one[KINDS[kind]] == identity), None)
        if thing is None:
            return None
        if request.method == "DELETE":
            self.things[kind].remove(thing)
            return {}
        if action:
            thing["status"] = {"enable": "ENABLED", "disable": "DISABLED"}[action]
            return {}
        return thing

    def _create(self, kind: str, body: dict) -> dict:
        if kind == "recurringruns":
            body = {**body, "status": f"{body['mode']}D"}
        return self.make(kind, **body)

    def _list(self, kind: str, query: dict[str, str], **of: str) -> dict:
        found = [one for one in self.things[kind] if of.items() <= one.items()]
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", ()):
            found = [one for one in found if one[predicate["key"]] == predicate["stringValue"]]
        if query.get("sort_by") == "created_at desc":
            found = found[::-1]
        begin, size = (
            int(query.get("page_token") or 0),
            min(self.page_size, int(query.get("page_size") or 20)),
        )
        answer: dict[str, Any] = {LISTS.get(kind, kind): found[begin : begin + size]}
        if begin + size < len(found):
            answer["next_page_token"] = str(begin + size)
        return answer


@contextmanager
def fake_kubeflow() -> Iterator[FakeKubeflow]:
    """Runs the server on a free port of this machine."""
    state = FakeKubeflow()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            request = Request(
                self.command,
                address.path,
                dict(urllib.parse.parse_qsl(address.query)),
                {key.lower(): value for key, value in self.headers.items()},
                _body(self.headers.get("content-type", ""), body),
            )
            state.requests.append(request)
            status, text, kind = state.answer(request)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            pass

        def handle(self) -> None:
            # A client that has given up waiting is no news.
            with suppress(ConnectionError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def _body(kind: str, body: bytes) -> Any:
    if kind.startswith("multipart/form-data"):
        message = email.message_from_bytes(f"content-type: {kind}\r\n\r\n".encode() + body)
        (part,) = message.get_payload()
        return part.get_payload(decode=True).decode()
    return json.loads(body) if body else None
