"""The embedded server: TensorFlow Serving's gRPC API on one machine, without its binary."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from types import TracebackType

import grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.model_manager import ModelManager
from serving.model_service import ModelService
from serving.prediction_service import PredictionService
from trainer.errors import UserError

MAX_REQUEST_BYTES = 256 * 2**20
"""About 700 videos of 300 frames. gRPC's default of 4 MiB would be 12."""


class PredictionServer:
    """Serves the latest version of one model.

    The port opens only when the model is loaded, so that who can connect can predict.

    Example:
        with PredictionServer("/models/yt8m", port=0) as server:
            client = PredictClient(f"localhost:{server.port}")

    Args:
        base_path: Directory of the model's versions.
        model_name: By which clients ask for it.
        host: Address to listen at; "0.0.0.0" for all.
        port: To listen at; 0 takes a free one.
        poll_seconds: Between two looks for a new version.
        workers: Requests that run at once; more wait.
    """

    def __init__(
        self,
        base_path: str,
        model_name: str = "yt8m",
        host: str = "127.0.0.1",
        port: int = 8500,
        poll_seconds: float = 1.0,
        workers: int = 8,
    ) -> None:
        self._address = f"{host}:{port}"
        self._models = {model_name: ModelManager(model_name, base_path, poll_seconds)}
        self._workers = workers
        self._server: grpc.Server | None = None
        self.port = port
        """The one that is listened at, once the server has started."""

    def start(self) -> None:
        """Loads the model, then listens.

        Raises:
            UserError: If there is no version that loads, or the port is taken.
        """
        for model in self._models.values():
            model.start()
        server = grpc.server(
            futures.ThreadPoolExecutor(self._workers, thread_name_prefix="request"),
            options=[
                ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
                ("grpc.max_send_message_length", -1),
                # Else a second server could take the same port, and would get half of the requests.
                ("grpc.so_reuseport", 0),
            ],
        )
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self._models), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(self._models), server)
        try:
            self.port = server.add_insecure_port(self._address)
        except RuntimeError:
            self.port = 0
        if not self.port:
            self._unload()
            raise UserError(f"cannot listen at {self._address}: is the port taken? Port 0 picks a free one")
        server.start()
        self._server = server

    def stop(self, grace: float | None = 30.0) -> None:
        """Refuses new requests, lets those that run finish, and unloads.

        Args:
            grace: Seconds that running requests get before they are cancelled; None cancels them at once.
        """
        server, self._server = self._server, None
        if server is not None:
            server.stop(grace).wait()
            self._unload()

    def __enter__(self) -> "PredictionServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _unload(self) -> None:
        for model in self._models.values():
            model.stop()


@contextlib.contextmanager
def termination() -> Iterator[Callable[[], None]]:
    """While the block runs SIGTERM and SIGINT do not kill; the function given waits for one of them."""
    asked = threading.Event()
    handlers = {
        number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield asked.wait
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
