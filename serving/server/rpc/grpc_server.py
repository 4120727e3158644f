"""The gRPC port of a server."""

from collections.abc import Iterable
from dataclasses import dataclass

import grpc
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from tensorflow_serving.apis.model_service_pb2_grpc import add_ModelServiceServicer_to_server
from tensorflow_serving.apis.prediction_service_pb2_grpc import add_PredictionServiceServicer_to_server

from serving.base.oip_messages import OIP_SERVICE
from serving.server.arrivals import Arrivals
from serving.server.event_loop import EventLoop
from serving.server.rpc.health import Health
from serving.server.rpc.incoming_requests import IncomingRequests
from serving.server.rpc.model_service import ModelService
from serving.server.rpc.oip_grpc import OipGrpc
from serving.server.rpc.prediction_service import PredictionService
from serving.server.workers import RequestPools
from trainer.base.errors import UserError

_SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", OIP_SERVICE)


@dataclass(frozen=True, kw_only=True)
class GrpcServices:
    """What answers the requests of the gRPC port.

    Attributes:
        prediction: Answers Predict and its like.
        model: Answers GetModelStatus.
        oip: Answers the requests of the Open Inference Protocol.
    """

    prediction: PredictionService
    model: ModelService
    oip: OipGrpc


class GrpcServer:
    """Answers requests from when it is made until it is closed.

    The network runs on an event loop, where nothing waits and a call without a message costs next to nothing; the
    methods run in threads.

    Args:
        services: What answers the requests.
        models: Names of the models, whose health is told.
        loop: The event loop that the network runs on.
        pools: The threads that work on requests.
        arrivals: Bounds how many messages are long in coming.
        address: HOST:PORT to listen at; port 0 takes a free one.
        credentials: Certificate and key; None for plain text.
        most: Most bytes of a request.

    Raises:
        UserError: If the port is taken.
    """

    def __init__(
        self,
        services: GrpcServices,
        models: Iterable[str],
        loop: EventLoop,
        pools: RequestPools,
        arrivals: Arrivals,
        address: str,
        credentials: grpc.ServerCredentials | None,
        most: int,
    ) -> None:
        self._health = Health()
        self._arrivals = arrivals
        self._server = loop.run(self._make(services, IncomingRequests(pools, arrivals), most))
        self.port = loop.run(self._listen(address, credentials))
        """The port that is listened at."""
        loop.run(self._start(models))

    async def stop(self, grace: float | None) -> None:
        """Refuses new requests and waits for those that run; runs on the event loop.

        Args:
            grace: Seconds after which they are cancelled; None cancels them at once.
        """
        self._health.end()
        self._arrivals.drain()
        await self._server.stop(grace)

    async def set_models(self, before: Iterable[str], after: Iterable[str]) -> None:
        """Has the health of other models told; runs on the event loop."""
        self._health.forget(set(before) - set(after))
        self._health.serve(after)

    async def _make(self, services: GrpcServices, requests: IncomingRequests, most: int) -> grpc.aio.Server:
        server = grpc.aio.server(
            interceptors=[requests],
            options=[
                ("grpc.max_receive_message_length", most),
                ("grpc.max_send_message_length", -1),
                # Else a second server could take the same port, and would get half of the requests.
                ("grpc.so_reuseport", 0),
            ],
        )
        add_PredictionServiceServicer_to_server(services.prediction, server)
        add_ModelServiceServicer_to_server(services.model, server)
        server.add_generic_rpc_handlers([services.oip.handler()])
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
