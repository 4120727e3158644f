"""The embedded server: TensorFlow Serving's gRPC API on one machine, without its binary."""

import contextlib
import functools
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from types import TracebackType

import grpc
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.base.tls import ServerTls
from serving.server.batched_servable import BatchedServable, BatchingConfig
from serving.server.health import Health
from serving.server.incoming_requests import IncomingRequests
from serving.server.listening import host_and_port
from serving.server.model_config import ModelConfig
from serving.server.model_manager import ModelManager, Runner
from serving.server.model_service import ModelService
from serving.server.predict_request import RequestLimits
from serving.server.prediction_service import PredictionService
from serving.server.servable import Servable
from serving.server.server_metrics import ServerMetrics
from serving.server.status_page import StatusPage
from serving.server.tensors import MAX_BYTES
from serving.server.warmup import run_warmup
from serving.store.whole_model import check_model
from trainer.base.errors import UserError

REQUESTS_A_WORKER = 16
"""Requests that a server takes at once by default, for each of its workers."""

_SERVICES = ("tensorflow.serving.PredictionService", "tensorflow.serving.ModelService")


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How a server runs; every default is a server of one process for one machine.

    Attributes:
        workers: Requests that are worked on at once, or wait for a batch; more wait for one of these to end.
        max_requests: Requests that are there at once; one more is answered RESOURCE_EXHAUSTED. None: 16 a worker.
        max_bytes_at_once: Of all requests together that are worked on; one more is answered UNAVAILABLE. None: those of
            one request that is as large as it may be.
        max_request_bytes: Of one request, and of one tensor in it; a larger request is answered RESOURCE_EXHAUSTED.
            (gRPC's default of 4 MiB is 12 videos of 300 frames.) Made of the shortest strings, a request takes
            16 times its bytes.
        max_videos: Of one request; more are INVALID_ARGUMENT. They bound the memory that a model takes.
        batching: None: every request runs alone.
        tls: None: plain text.
        http_port: Of /metrics, /healthz and /readyz; 0 takes a free one, None has none.
        tensorflow_threads: Of TensorFlow's pools, within and between operations; 0 lets it choose.
    """

    workers: int = 8
    max_requests: int | None = None
    max_bytes_at_once: int | None = None
    max_request_bytes: int = MAX_BYTES
    max_videos: int = 1024
    batching: BatchingConfig | None = None
    tls: ServerTls | None = None
    http_port: int | None = None
    tensorflow_threads: int = 0


class PredictionServer:
    """Serves one model or several.

    The gRPC port opens only when the models are loaded, so that who can connect can predict.

    Example:
        with PredictionServer("/models/yt8m", port=0) as server:
            client = PredictClient(f"localhost:{server.port}")

    Args:
        models: Directory of one model's versions, of which the latest is served; or any models.
        model_name: Of that one model.
        host: Address to listen at; "0.0.0.0" for all.
        port: To listen at; 0 takes a free one.
        poll_seconds: Between two looks for new versions.
        options: The rest.
    """

    def __init__(
        self,
        models: str | Sequence[ModelConfig],
        model_name: str = "yt8m",
        host: str = "127.0.0.1",
        port: int = 8500,
        poll_seconds: float = 1.0,
        options: ServerOptions | None = None,
    ) -> None:
        configs = [ModelConfig(name=model_name, base_path=models)] if isinstance(models, str) else models
        self._host, self._address = host, host_and_port(host, port)
        self._options = options or ServerOptions()
        self.metrics = ServerMetrics([config.name for config in configs])
        self._models = {
            config.name: ModelManager(config, poll_seconds, load=self._load) for config in configs
        }
        for name, model in self._models.items():
            self.metrics.watch_versions(name, lambda model=model: len(model.loaded_versions()))
        self._health = Health()
        self._server: grpc.Server | None = None
        self._page: StatusPage | None = None
        self._ready = False
        self.port = port
        """The one that is listened at, once the server has started."""

    @property
    def http_port(self) -> int | None:
        """The one of the status page, once the server has started."""
        return self._page and self._page.port

    def start(self) -> None:
        """Loads the models, then listens.

        Raises:
            UserError: If a model has no version that loads, a port is taken, or a certificate cannot be read.
        """
        credentials = self._options.tls and self._options.tls.credentials()
        if self._options.http_port is not None:
            self._page = StatusPage(
                self.metrics.registry, lambda: self._ready, self._host, self._options.http_port
            )
        try:
            for model in self._models.values():
                model.start()
            self._server = self._listen(credentials)
        except BaseException:
            self._unload()
            raise
        self._health.serve(("", *_SERVICES, *self._models))
        self._ready = True

    def stop(self, grace: float | None = 30.0) -> None:
        """Says that it is not ready, refuses new requests, lets those that run finish, and unloads.

        Args:
            grace: Seconds that running requests get before they are cancelled; None cancels them at once.
        """
        server, self._server = self._server, None
        if server is not None:
            self._ready = False
            self._health.end()
            server.stop(grace).wait()
            self._unload()

    def __enter__(self) -> "PredictionServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _load(self, directory: str, name: str, version: int) -> Runner:
        """A version that has run its warm-up requests."""
        check_model(directory)
        servable = Servable(directory, name, version, self._options.tensorflow_threads)
        try:
            run_warmup(servable, directory)
        except BaseException:
            servable.close()
            raise
        if self._options.batching is None:
            return servable
        return BatchedServable(servable, self._options.batching, functools.partial(self.metrics.batch, name))

    def _listen(self, credentials: grpc.ServerCredentials | None) -> grpc.Server:
        server = grpc.server(
            futures.ThreadPoolExecutor(self._options.workers, thread_name_prefix="request"),
            interceptors=[
                IncomingRequests(self._options.max_bytes_at_once or self._options.max_request_bytes)
            ],
            maximum_concurrent_rpcs=self._options.max_requests or self._options.workers * REQUESTS_A_WORKER,
            options=[
                ("grpc.max_receive_message_length", self._options.max_request_bytes),
                ("grpc.max_send_message_length", -1),
                # Else a second server could take the same port, and would get half of the requests.
                ("grpc.so_reuseport", 0),
            ],
        )
        limits = RequestLimits(max_bytes=self._options.max_request_bytes, max_videos=self._options.max_videos)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(self._models, self.metrics, limits), server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(self._models, self.metrics), server
        )
        add_HealthServicer_to_server(self._health, server)
        try:
            if credentials is None:
                self.port = server.add_insecure_port(self._address)
            else:
                self.port = server.add_secure_port(self._address, credentials)
        except RuntimeError:
            self.port = 0
        if not self.port:
            raise UserError(f"cannot listen at {self._address}: is the port taken? Port 0 picks a free one")
        server.start()
        return server

    def _unload(self) -> None:
        for model in self._models.values():
            model.stop()
        if self._page is not None:
            self._page.close()


@contextlib.contextmanager
def termination() -> Iterator[Callable[[], None]]:
    """While the block runs SIGTERM and SIGINT do not kill; the function given waits for one of them.

    Main thread only. The signal comes through a socket (`signal.set_wakeup_fd`): a handler in Python runs only once the
    main thread does, and nothing wakes that from waiting for a lock where the signal came a moment before it began
    to wait, or came to another thread.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)
    receiver, sender = socket.socketpair()
    with receiver, sender:
        sender.setblocking(False)

        def wait() -> None:
            while receiver.recv(1)[0] not in numbers:
                pass

        wakeup = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
        handlers = {number: signal.signal(number, lambda *_: None) for number in numbers}
        try:
            yield wait
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(wakeup)
