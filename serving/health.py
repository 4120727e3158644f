"""grpc.health.v1, with watchers that do not hold up the end."""

import threading
from collections.abc import Callable, Iterable
from concurrent import futures

import grpc
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse


class Health(HealthServicer):
    """The library's servicer; each watcher costs no thread, and its stream ends with the service.

    Without that end a draining server would wait for its watchers, who never leave by themselves, until the grace
    period is over.
    """

    def __init__(self) -> None:
        super().__init__(
            experimental_non_blocking=True,
            experimental_thread_pool=futures.ThreadPoolExecutor(1, thread_name_prefix="health"),
        )
        self._senders: set[Callable[[HealthCheckResponse | None], None]] = set()
        self._senders_lock = threading.Lock()

    def Watch(  # noqa: N802 (the API's name)
        self,
        request: HealthCheckRequest,
        context: grpc.ServicerContext,
        send_response_callback: Callable[[HealthCheckResponse | None], None],
    ) -> None:
        """Sends the state now and whenever it changes."""
        with self._senders_lock:
            self._senders.add(send_response_callback)

        def forget() -> None:
            with self._senders_lock:
                self._senders.discard(send_response_callback)

        if not context.add_callback(forget):  # it has ended already
            forget()
        super().Watch(request, context, send_response_callback)

    def serve(self, services: Iterable[str]) -> None:
        """Says of these services that they take requests."""
        for service in services:
            self.set(service, HealthCheckResponse.SERVING)

    def end(self) -> None:
        """Says of all services that they take none any more, and ends the streams of the watchers."""
        self.enter_graceful_shutdown()
        with self._senders_lock:
            senders = list(self._senders)
        for send in senders:
            send(None)
