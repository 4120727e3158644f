"""A local HTTP server that speaks the paths of the v2beta1 API that kfp.Client calls, and remembers every request.

It behaves as KFP 2.17's API server did: names are unique (409), errors have `error`, `code`, `message` and `details`
(an upload's have `error_message` and `error_details`), and Kubernetes deletes the workflows of a recurring run with
it, unless it was deleted with the propagation policy ORPHAN, which servers before 2.16 do not know and ignore.
"""

import datetime
import email
import itertools
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
UNIQUE = {
    "pipelines": ("display_name", "namespace"),
    "versions": ("display_name", "pipeline_id"),
    "experiments": ("display_name", "namespace"),
}
"""Kinds of which no two have the same values of these."""

CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 412: 9, 500: 13, 503: 14}
"""gRPC's code for an HTTP status."""

Answer = tuple[int, str, str]
"""Status, body and content type."""


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
        version: Of the server, as its health check says.
        through_ui: Whether the health check comes through the user interface's server, which words it otherwise.
        workflows: Argo's workflows: run id to the id of the recurring run that owns it (None for none).
        namespace: Of the workflows.
        objects: Kubernetes' other objects: path of the request to the answer.
    """

    url: str = ""
    things: dict[str, list[dict]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    requests: list[Request] = field(default_factory=list)
    failures: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    page_size: int = 1000
    multi_user: bool = False
    version: str = "2.17.0"
    through_ui: bool = False
    workflows: dict[str, str | None] = field(default_factory=dict)
    namespace: str = "kubeflow"
    objects: dict[str, dict] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def lines(self, method: str = "POST") -> list[str]:
        return [request.line for request in self.requests if request.method == method]

    def fail(self, pattern: str, status: int, message: str = "the reason") -> None:
        self.failures[pattern] = refusal(status, message)

    def make(self, kind: str, **fields: Any) -> dict:
        number = next(self.numbers)
        stamp = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC) + datetime.timedelta(minutes=number)
        thing = {
            KINDS[kind]: f"{kind}-{number}",
            "created_at": stamp.isoformat().replace("+00:00", "Z"),
            **fields,
        }
        self.things[kind].append(thing)
        if kind == "runs":
            self.workflows[thing["run_id"]] = thing.get("recurring_run_id")
        return thing

    def start_scheduled(self, recurring: dict, **fields: Any) -> dict:
        """A run that a recurring run has started, and that is going on."""
        return self.make(
            "runs",
            **{
                "display_name": f"{recurring['display_name']} by the clock",
                "state": "RUNNING",
                "recurring_run_id": recurring["recurring_run_id"],
                **fields,
            },
        )

    def answer(self, request: Request) -> Answer:
        for pattern, seconds in self.delays.items():
            if re.search(pattern, request.line):
                time.sleep(seconds)
        for pattern, failure in self.failures.items():
            if re.search(pattern, request.line):
                return failure
        with self.lock:
            if not request.path.startswith("/apis/v2beta1/"):
                return self._kubernetes(request)
            return self._handle(request, request.path.removeprefix("/apis/v2beta1/"))

    def _handle(self, request: Request, path: str) -> Answer:
        if path == "healthz":
            return _json(self._health())
        if path == "pipelines/upload_version":
            version = {
                "pipeline_id": request.query["pipelineid"],
                "display_name": request.query["name"],
                "content": request.body,
            }
            if self._taken("versions", version):
                said = "Failed to create a pipeline version"
                return 409, json.dumps({"error_message": said, "error_details": said}), "application/json"
            return _json(self.make("versions", **version))
        if match := re.fullmatch(r"pipelines/([^/]+)/versions", path):
            return _json(self._list("versions", request.query, pipeline_id=match[1]))
        kind, _, rest = path.partition("/")
        if kind not in KINDS:
            return refusal(404, "Not Found")
        if not rest:
            if request.method == "POST":
                return self._create(kind, request.body)
            return _json(self._list(kind, request.query))
        identity, _, action = rest.partition(":")
        thing = next((one for one in self.things[kind] if one[KINDS[kind]] == identity), None)
        if thing is None:
            return refusal(404, f"ResourceNotFoundError: {kind} {identity} not found")
        if request.method == "DELETE":
            self.things[kind].remove(thing)
            if kind == "recurringruns":
                self._collect_workflows(identity, request.query.get("propagation_policy"))
            return _json({})
        if action:
            thing["status"] = {"enable": "ENABLED", "disable": "DISABLED"}[action]
            return _json({})
        return _json(thing)

    def _kubernetes(self, request: Request) -> Answer:
        if request.path.endswith("/workflows"):
            key, _, run_id = request.query["labelSelector"].partition("=")
            here = f"/namespaces/{self.namespace}/" in request.path
            found = [one for one in self.workflows if here and run_id in ("", one)]
            return _json({"items": [{"metadata": {"labels": {key: one}}} for one in found]})
        if request.path in self.objects:
            return _json(self.objects[request.path])
        body = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
        return 404, json.dumps(body), "application/json"

    def _health(self) -> dict:
        if self.through_ui:
            return {"apiServerTagName": self.version, "apiServerReady": True, "multi_user": self.multi_user}
        return {"commit_sha": "0" * 40, "tag_name": self.version, "multi_user": self.multi_user}

    def _collect_workflows(self, recurring_run_id: str, policy: str | None) -> None:
        """What Kubernetes does with the owner gone; the API's database does not hear of it, runs stay RUNNING."""
        knows = self.version.startswith(("2.16.", "2.17."))
        for run_id, owner in list(self.workflows.items()):
            if owner != recurring_run_id:
                continue
            if knows and policy == "ORPHAN":
                self.workflows[run_id] = None
            else:
                del self.workflows[run_id]

    def _taken(self, kind: str, new: dict) -> bool:
        return any(
            all(one.get(key) == new.get(key) for key in UNIQUE.get(kind, ())) for one in self.things[kind]
        )

    def _create(self, kind: str, body: dict) -> Answer:
        if kind in UNIQUE and self._taken(kind, body):
            return refusal(409, f"Failed to create: The name {body['display_name']} already exist")
        if kind == "recurringruns":
            body = {**body, "status": f"{body['mode']}D"}
        return _json(self.make(kind, **body))

    def _list(self, kind: str, query: dict[str, str], **of: str) -> dict:
        found = [one for one in self.things[kind] if of.items() <= one.items()]
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", ()):
            found = [one for one in found if one.get(predicate["key"]) == predicate["stringValue"]]
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


def task_details(tasks: dict[str, str | None], workflow: str = "tiny-6c6m5") -> dict:
    """Details of a run as they are made of Argo's nodes: the top one first, a state only where there is one."""
    below = [{"pod_name": f"{workflow}-{number}"} for number in range(2_912_939, 2_912_939 + len(tasks))]
    nodes = [{"display_name": workflow, "state": "RUNNING", "child_tasks": below[:1]}]
    for number, (name, state) in enumerate(tasks.items(), 1):
        node = {"display_name": name, "child_tasks": below[number : number + 1]}
        nodes.append({**node, "state": state} if state else node)
    return {"task_details": nodes}


def refusal(status: int, message: str) -> Answer:
    """An error as the API's gateway words it."""
    code = CODES.get(status, 2)
    details = [{"@type": "type.googleapis.com/google.rpc.Status", "code": code, "message": message}]
    body = {"error": message, "code": code, "message": message, "details": details}
    return status, json.dumps(body), "application/json"


def _json(body: dict) -> Answer:
    return 200, json.dumps(body), "application/json"


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
