"""grpc.health.v1: whether the server and each of its models take requests."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, NoReturn

import grpc
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from serving.server.status import StatusError

MAX_WATCHERS = 1000
"""Number of streams of Watch at once; one more is RESOURCE_EXHAUSTED. Each takes some memory until it leaves."""


class Health(health_pb2_grpc.HealthServicer):
    """Check and Watch. A watcher takes no thread, and its stream ends with the service.

    Without that end a draining server would wait for its watchers, who never leave by themselves, until the grace
    period is over. The library's own asynchronous servicer (grpcio-health-checking) does not end them.

    Everything but `Check` runs on the server's event loop.
    """

    def __init__(self) -> None:
        self._statuses: dict[str, int] = {}
        self._changed = asyncio.Event()
        """Is set at the next change, and then replaced."""
        self._watchers = 0
        self._ended = False

    def Check(  # noqa: N802 (the API's name)
        self, request: HealthCheckRequest, deadline: float
    ) -> HealthCheckResponse:
        """Answers with the state of a service; NOT_FOUND for one that the server does not know."""
        status = self._statuses.get(request.service)
        if status is None:
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"there is no service {request.service}")
        return HealthCheckResponse(status=status)

    def List(self, request: Any, deadline: float) -> NoReturn:  # noqa: N802 (the API's name)
        """Says that the server does not do that. Only newer versions of the protocol have the method."""
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, "this server does not list its services")

    async def Watch(  # noqa: N802 (the API's name)
        self, request: HealthCheckRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[HealthCheckResponse]:
        """Sends the state of a service now and whenever it changes."""
        if self._watchers >= MAX_WATCHERS:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "the server has too many watchers")
        self._watchers += 1
        try:
            sent = None
            while True:
                changed, ended = self._changed, self._ended
                status = self._statuses.get(request.service, HealthCheckResponse.SERVICE_UNKNOWN)
                if status != sent:
                    sent = status
                    yield HealthCheckResponse(status=status)
                if ended:
                    return
                await changed.wait()
        finally:
            self._watchers -= 1

    def serve(self, services: Iterable[str]) -> None:
        """Says of these services that they take requests."""
        self._statuses.update(dict.fromkeys(services, HealthCheckResponse.SERVING))
        self._tell()

    def forget(self, services: Iterable[str]) -> None:
        """Says of these services that the server does not know them."""
        for service in services:
            self._statuses.pop(service, None)
        self._tell()

    def end(self) -> None:
        """Says of all services that they take no requests any more, and ends the streams of the watchers.

        Returns at once; the watchers are told meanwhile.
        """
        self._ended = True
        self._statuses = dict.fromkeys(self._statuses, HealthCheckResponse.NOT_SERVING)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
