"""The HTTP port of a server: predictions by REST, metrics and health."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc
from aiohttp import web
from aiohttp.http import HttpProcessingError
from prometheus_client import CollectorRegistry, generate_latest

from serving.server.arrivals import Arrivals
from serving.server.event_loop import EventLoop
from serving.server.http import oip_rest, rest_api
from serving.server.http.http_body import VALUE_BYTES, HttpBody
from serving.server.http.http_exchange import HttpReply, HttpRequest
from serving.server.http.json_outputs import dump_json
from serving.server.http.oip_rest import OipRest
from serving.server.http.rest_api import RestApi
from serving.server.listening import http_listener
from serving.server.status import StatusError, logged, shortened, trace_parent
from serving.server.workers import Message, RequestPools

METRICS = ("/metrics", "/monitoring/prometheus/metrics")
"""The second is where TensorFlow Serving has them."""

HEAD_SECONDS = 60.0
"""Longest time that a connection may be without a whole head of a request."""

_BACKLOG = 4096
"""Connections that the system takes before the server does; more try again a second later."""

_READ_BYTES = 2**20
"""Bytes that are read of a connection before they are looked at; aiohttp's 64 KiB are little for videos."""

_STATUSES = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
"""HTTP's statuses as TensorFlow Serving has them (http_server.cc); 500 for all others."""

_log = logging.getLogger("yt8m.serving.http")
# What is no HTTP is the client's fault, and would fill the log.
_log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))

_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, kw_only=True)
class HttpServices:
    """What answers the requests of the HTTP port.

    Attributes:
        rest: Answers TensorFlow Serving's REST API.
        oip: Answers the Open Inference Protocol.
        registry: Holds the metrics.
        is_ready: Says whether requests are taken.
        readiness: Says in a few lines what takes requests, and what does not.
    """

    rest: RestApi
    oip: OipRest
    registry: CollectorRegistry
    is_ready: Callable[[], bool]
    readiness: Callable[[], str]


class HttpServer:
    """Answers requests from when it is made until it is closed.

    The network runs on the event loop that gRPC's does, and the work in the same threads. A connection that sends
    nothing, or not all, takes no thread.

    Args:
        services: What answers the requests.
        loop: The event loop.
        pools: The threads that work on requests.
        arrivals: Bounds how many requests are long in coming.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        context: Certificate and key; None for plain text.
        most: Most bytes of a request.
        seconds: Longest time that a request may take when it has come.

    Raises:
        UserError: If the port is taken.
    """

    def __init__(
        self,
        services: HttpServices,
        loop: EventLoop,
        pools: RequestPools,
        arrivals: Arrivals,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        most: int,
        seconds: float,
    ) -> None:
        self._services = services
        self._pools = pools
        self._arrivals = arrivals
        self._context = context
        self._most = most
        self._seconds = seconds
        self._running: set[asyncio.Task[HttpReply]] = set()
        listener = http_listener(host, port, _BACKLOG)
        self.port: int = listener.getsockname()[1]
        """The port that is listened at."""
        loop.run(self._start(listener))

    async def drain(self, grace: float | None) -> None:
        """Waits for the predictions that run; new ones are refused by then. Runs on the event loop.

        Args:
            grace: Seconds after which they are cancelled; None cancels them at once.
        """
        if self._running:
            await asyncio.wait(self._running, timeout=grace or 0)
        for task in self._running:
            task.cancel()

    async def close(self) -> None:
        """Stops listening and ends all connections. Runs on the event loop."""
        self._server.close()
        await self._runner.cleanup()

    async def _start(self, listener: socket.socket) -> None:
        application = web.Application()
        for path in METRICS:
            application.router.add_get(path, self._guarded(self._metrics))
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_route("*", "/{path:.*}", self._guarded(self._api))
        self._runner = web.AppRunner(
            application,
            access_log=None,  # a line for every scrape and probe is no news
            logger=_log,
            handler_cancellation=True,
            keepalive_timeout=HEAD_SECONDS,
            read_bufsize=_READ_BYTES,
            shutdown_timeout=0,
        )
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_server(
            self._runner.server,
            sock=listener,
            ssl=self._context,
            backlog=_BACKLOG,
            ssl_handshake_timeout=None if self._context is None else HEAD_SECONDS,
        )

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[HttpReply]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            try:
                self._check_client(request)
                reply = await handler(request)
            except StatusError as error:
                self._pools.count_refusal(error)
                reply = _error(_STATUSES.get(error.code, 500), shortened(error.message))
            except Exception:
                reply = _error(500, logged(f"{request.method} {request.path}"))
            response = web.Response(
                body=reply.body, status=reply.status, content_type=None, headers=dict(reply.headers)
            )
            response.headers["Content-Type"] = reply.content_type
            if request.content.exception() is not None:
                # aiohttp would read on to the body's end, and log that it cannot as a fault of the server.
                request.content.feed_eof()
                response.force_close()
            return response

        return answer

    def _check_client(self, request: web.Request) -> None:
        """Refuses a client without a certificate where clients must have one."""
        wanted = self._context is not None and self._context.verify_mode is ssl.CERT_OPTIONAL
        if wanted and not (request.transport and request.transport.get_extra_info("peercert")):
            raise StatusError(
                grpc.StatusCode.UNAUTHENTICATED, "this server wants a certificate from its clients"
            )

    async def _api(self, request: web.Request) -> HttpReply:
        api = self._api_of(request.raw_path.lower())
        if api is None:
            return _error(404, "there are /v1/models, /v2, /metrics, /healthz and /readyz")
        is_prediction = request.method == "POST"
        if is_prediction and not self._services.is_ready():
            raise StatusError(grpc.StatusCode.UNAVAILABLE, "the server takes no requests yet, or no more")
        workers = self._pools.predictions if is_prediction else self._pools.others
        workers.check()
        task = asyncio.ensure_future(self._receive_and_work(request, api))
        if is_prediction:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        try:
            return await task
        except asyncio.CancelledError:
            if asyncio.current_task().cancelling():
                raise  # the client has left, and with it the task
            raise StatusError(grpc.StatusCode.UNAVAILABLE, "the server is stopping") from None

    def _api_of(self, path: str) -> RestApi | OipRest | None:
        if path.startswith(rest_api.PREFIX):
            return self._services.rest
        return self._services.oip if oip_rest.PREFIX.fullmatch(path) else None

    async def _receive_and_work(self, request: web.Request, api: RestApi | OipRest) -> HttpReply:
        path = request.raw_path.partition("?")[0]
        workers = self._pools.predictions if request.method == "POST" else self._pools.others
        body = HttpBody(self._pools.budget)
        try:
            if too_large := await self._arrivals.wait(self._read(request, body)):
                return too_large
            deadline = time.monotonic() + self._seconds

            def work(message: Message) -> HttpReply:
                trace_parent.set(request.headers.get("traceparent"))
                return api.answer(
                    HttpRequest(
                        method=request.method,
                        path=path,
                        headers=request.headers,
                        message=message,
                        deadline=deadline,
                    )
                )

            # Nothing else runs on the event loop before `run` counts the bytes again.
            async with asyncio.timeout(self._seconds):
                return await workers.run(work, body.take())
        except TimeoutError:
            raise StatusError(
                grpc.StatusCode.DEADLINE_EXCEEDED, f"no answer within {self._seconds:g} s"
            ) from None
        finally:
            body.take()

    async def _read(self, request: web.Request, body: HttpBody) -> HttpReply | None:
        """Reads the body of a request; returns what it is refused with where it is too large."""
        try:
            if (request.content_length or 0) <= self._most:
                while chunk := await request.content.readany():
                    body.add(chunk)
                    if body.size > self._most:
                        break
                else:
                    return None
        except (web.RequestPayloadError, ValueError) as error:
            raise StatusError(
                grpc.StatusCode.INVALID_ARGUMENT, f"the body cannot be read ({error})"
            ) from None
        return _error(
            413,
            f"the request is larger than {self._most} bytes (short values in JSON count for {VALUE_BYTES} and more)",
        )

    async def _metrics(self, request: web.Request) -> HttpReply:
        return await self._pools.others.run(
            lambda _: HttpReply(
                body=generate_latest(self._services.registry), content_type=_TEXT + "; version=0.0.4"
            ),
            Message(b""),
        )

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readyz(self, request: web.Request) -> web.Response:
        return web.Response(text=self._services.readiness(), status=200 if self._services.is_ready() else 503)


def _error(status: int, message: str) -> HttpReply:
    return HttpReply(body=dump_json({"error": message}), status=status)
