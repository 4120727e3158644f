"""grpc.health.v1: whether the server and each of its models take requests.

The library's own servicer (grpcio-health-checking) can stop a server for good: it holds its lock while it sends, a
message counts as sent only when gRPC's one event thread says so, and that thread waits for the same lock whenever a
watcher goes away. Here the lock is never held while anything is sent.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent import futures

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

_POOL = futures.ThreadPoolExecutor(4, thread_name_prefix="health")
"""Sends to the watchers of all servers of this process. A watcher that reads nothing holds a thread until it leaves."""

_Send = Callable[[HealthCheckResponse | None], None]
"""Sends a response and waits until it is sent; None ends the stream."""


class _Watcher:
    """One stream: what is still to be sent, in order, and whether a thread is sending."""

    def __init__(self, service: str, send: _Send) -> None:
        self.service = service
        self.send = send
        self.waiting: deque[HealthCheckResponse | None] = deque()
        self.is_sending = False


class Health(health_pb2_grpc.HealthServicer):
    """Check and Watch. A watcher takes no thread while nothing changes, and its stream ends with the service.

    Without that end a draining server would wait for its watchers, who never leave by themselves, until the grace
    period is over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        """Guards what follows, for moments only: gRPC's event thread waits for it when a watcher goes away."""
        self._statuses: dict[str, int] = {}
        self._watchers: set[_Watcher] = set()
        self._ended = False

    def Check(  # noqa: N802 (the API's name)
        self, request: HealthCheckRequest, context: grpc.ServicerContext
    ) -> HealthCheckResponse:
        """The state of a service; NOT_FOUND for one that the server does not know."""
        status = self._statuses.get(request.service)
        if status is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service}")
        return HealthCheckResponse(status=status)

    def Watch(  # noqa: N802 (the API's name)
        self, request: HealthCheckRequest, context: grpc.ServicerContext, send_response_callback: _Send
    ) -> None:
        """Sends the state now and whenever it changes."""
        watcher = _Watcher(request.service, send_response_callback)
        with self._lock:
            status = self._statuses.get(request.service, HealthCheckResponse.SERVICE_UNKNOWN)
            self._post(watcher, HealthCheckResponse(status=status))
            if self._ended:
                self._post(watcher, None)
            else:
                self._watchers.add(watcher)
        if not context.add_callback(lambda: self._forget(watcher)):  # the stream has ended already
            self._forget(watcher)

    # How gRPC is told to call it with a function that sends, and in which pool.
    Watch.experimental_non_blocking = True
    Watch.experimental_thread_pool = _POOL

    def serve(self, services: Iterable[str]) -> None:
        """Says of these services that they take requests."""
        with self._lock:
            for service in services:
                self._set(service, HealthCheckResponse.SERVING)

    def end(self) -> None:
        """Says of all services that they take no requests any more, and ends the streams of the watchers.

        Returns at once; the watchers are told meanwhile.
        """
        with self._lock:
            self._ended = True
            for service in self._statuses:
                self._set(service, HealthCheckResponse.NOT_SERVING)
            for watcher in self._watchers:
                self._post(watcher, None)
            self._watchers.clear()

    def _set(self, service: str, status: int) -> None:
        """The lock is held."""
        self._statuses[service] = status
        for watcher in self._watchers:
            if watcher.service == service:
                self._post(watcher, HealthCheckResponse(status=status))

    def _post(self, watcher: _Watcher, response: HealthCheckResponse | None) -> None:
        """Has a thread send the response after those that wait already; the lock is held."""
        watcher.waiting.append(response)
        if not watcher.is_sending:
            watcher.is_sending = True
            _POOL.submit(self._send, watcher)

    def _send(self, watcher: _Watcher) -> None:
        while True:
            with self._lock:
                if not watcher.waiting:
                    watcher.is_sending = False
                    return
                response = watcher.waiting.popleft()
            watcher.send(response)  # without the lock: it waits for the event thread

    def _forget(self, watcher: _Watcher) -> None:
        with self._lock:
            self._watchers.discard(watcher)
