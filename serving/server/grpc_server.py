"""The gRPC port of a server."""

from collections.abc import Iterable

import grpc
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from tensorflow_serving.apis.model_service_pb2_grpc import add_ModelServiceServicer_to_server
from tensorflow_serving.apis.prediction_service_pb2_grpc import add_PredictionServiceServicer_to_server

from serving.server.event_loop import EventLoop
from serving.server.health import Health
from serving.server.incoming_requests import IncomingRequests
from serving.server.model_service import ModelService
from serving.server.prediction_service import PredictionService
from serving.server.server_options import ServerOptions
from serving.server.workers import ByteBudget, Workers
from trainer.base.errors import UserError

_OTHER_THREADS = 2
"""Threads for what is not Predict: states and metadata of models, and health."""

_OTHER_REQUESTS = 128
"""Number of such requests that are there at once."""

_SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")


class GrpcServer:
    """Answers requests from when it is made until it is closed.

    The network runs on an event loop, where nothing waits and a call without a message costs next to nothing; the
    methods run in threads.

    Args:
        prediction_service: Answers Predict and its like.
        model_service: Answers GetModelStatus.
        models: Names of the models, whose health is told.
        address: HOST:PORT to listen at; port 0 takes a free one.
        credentials: Certificate and key; None for plain text.
        options: The numbers of threads and the limits.

    Raises:
        UserError: If the port is taken.
    """

    def __init__(
        self,
        prediction_service: PredictionService,
        model_service: ModelService,
        models: Iterable[str],
        address: str,
        credentials: grpc.ServerCredentials | None,
        options: ServerOptions,
    ) -> None:
        budget = ByteBudget(options.bytes_at_once)
        self._workers = (
            Workers(options.workers, options.requests_at_once, budget, "predict"),
            Workers(_OTHER_THREADS, _OTHER_REQUESTS, budget, "request"),
        )
        self._requests = IncomingRequests(*self._workers)
        self._health = Health()
        self._loop = EventLoop()
        try:
            self._server = self._loop.run(self._make(prediction_service, model_service, options))
            self.port = self._loop.run(self._listen(address, credentials))
            """The port that is listened at."""
            self._loop.run(self._start(models))
        except BaseException:
            self._loop.close()
            raise

    def close(self, grace: float | None) -> None:
        """Refuses new requests and waits for those that run.

        Args:
            grace: Seconds after which they are cancelled; None cancels them at once.
        """
        self._loop.run(self._stop(grace))
        self._loop.close()
        for workers in self._workers:
            workers.close()

    async def _make(
        self, prediction_service: PredictionService, model_service: ModelService, options: ServerOptions
    ) -> grpc.aio.Server:
        server = grpc.aio.server(
            interceptors=[self._requests],
            options=[
                ("grpc.max_receive_message_length", options.max_request_bytes),
                ("grpc.max_send_message_length", -1),
                # Else a second server could take the same port, and would get half of the requests.
                ("grpc.so_reuseport", 0),
            ],
        )
        add_PredictionServiceServicer_to_server(prediction_service, server)
        add_ModelServiceServicer_to_server(model_service, server)
        add_HealthServicer_to_server(self._health, server)
        return server

    async def _listen(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        try:
            if credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, credentials)
        except RuntimeError:
            port = 0
        if not port:
            raise UserError(f"cannot listen at {address}: is the port taken? Port 0 picks a free one")
        return port

    async def _start(self, models: Iterable[str]) -> None:
        self._health.serve(("", *_SERVICES, *models))
        await self._server.start()

    async def _stop(self, grace: float | None) -> None:
        self._health.end()
        self._requests.drain()
        await self._server.stop(grace)
