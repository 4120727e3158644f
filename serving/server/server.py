"""The embedded server: TensorFlow Serving's APIs on one machine, without its binary."""

import asyncio
import contextlib
import functools
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

import grpc

from serving.server.arrivals import Arrivals
from serving.server.event_loop import EventLoop
from serving.server.http.http_server import HttpServer, HttpServices
from serving.server.http.oip_rest import OipRest
from serving.server.http.rest_api import RestApi
from serving.server.listening import host_and_port
from serving.server.model_runner import ModelRunner
from serving.server.models.batched_servable import BatchedServable
from serving.server.models.model_config import ModelConfig
from serving.server.models.model_manager import ModelManager, Runner
from serving.server.models.model_set import ModelSet
from serving.server.models.servable import Servable
from serving.server.models.warmup import run_warmup
from serving.server.oip import Oip
from serving.server.predict_request import RequestLimits
from serving.server.rpc.grpc_server import GrpcServer, GrpcServices
from serving.server.rpc.model_service import ModelService
from serving.server.rpc.oip_grpc import OipGrpc
from serving.server.rpc.prediction_service import PredictionService
from serving.server.server_metrics import ServerMetrics
from serving.server.server_options import ServerOptions
from serving.server.status import RequestRecorder
from serving.server.workers import RequestPools
from serving.store.whole_model import check_model
from trainer.base.errors import UserError

if TYPE_CHECKING:
    from serving.server.traces import Traces


class PredictionServer:
    """Serves one model or several.

    The gRPC port opens only when the models are loaded, so that who can connect can predict.

    Example:
        with PredictionServer("/models/yt8m", port=0) as server:
            client = PredictClient(f"localhost:{server.port}")

    Args:
        models: Directory of one model's versions, of which the latest is served; or the configurations of any models.
        model_name: Name of that one model, by which clients ask for it.
        host: Address to listen at; "0.0.0.0" for all.
        port: Port to listen at; 0 takes a free one.
        poll_seconds: Seconds between two looks for new versions.
        options: Threads, limits, batching, TLS and the HTTP port; None stands for the defaults.
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
        self._poll_seconds = poll_seconds
        self._models = ModelSet(configs, self._manager)
        limits = RequestLimits(max_bytes=self._options.max_request_bytes, max_videos=self._options.max_videos)
        self._runner = ModelRunner(self._models, limits)
        self._oip = Oip(self._runner, lambda: self._ready)
        self._pools = RequestPools(self._options, self.metrics.refused)
        self._arrivals = Arrivals()
        self.metrics.watch_bytes(lambda: self._pools.budget.taken)
        for name, pool in (("predictions", self._pools.predictions), ("others", self._pools.others)):
            self.metrics.watch_pool(name, lambda pool=pool: pool.there)
        self._recorders: list[RequestRecorder] = [self.metrics]
        self._traces: Traces | None = None
        self._loop: EventLoop | None = None
        self._grpc: GrpcServer | None = None
        self._http: HttpServer | None = None
        self._ready = False
        self.port = port
        """The port that is listened at, once the server has started."""

    @property
    def http_port(self) -> int | None:
        """The port of HTTP, once the server has started; None if there is none."""
        return self._http and self._http.port

    def start(self) -> None:
        """Loads the models, then listens for gRPC. HTTP is listened for meanwhile, and says that nothing is ready.

        Raises:
            UserError: If a model has no version that loads, a port is taken, or a certificate cannot be read.
        """
        tls = self._options.tls
        if self._options.allow_reload and (tls is None or tls.client_ca is None):
            raise UserError("that clients may change the models needs mutual TLS: --tls-client-ca")
        credentials, context = tls and tls.credentials(), tls and tls.http_context()
        if self._options.otlp_endpoint is not None:
            from serving.server.traces import Traces  # slow to import

            self._traces = Traces(self._options.otlp_endpoint)
            self._recorders.append(self._traces)
        self._loop = EventLoop()
        try:
            if self._options.http_port is not None:
                self._http = self._listen_for_http(self._loop, self._options.http_port, context)
            self._models.start()
            self._grpc = self._listen(self._loop, credentials)
        except BaseException:
            self._unload()
            raise
        self._ready = True

    def stop(self, grace: float | None = 30.0) -> None:
        """Says that it is not ready, refuses new requests, lets those that run finish, and unloads.

        Args:
            grace: Seconds that running requests get before they are cancelled; None cancels them at once.
        """
        if self._ready:
            self._ready = False
            self._loop.run(self._drain(grace))
            self._unload()

    def __enter__(self) -> "PredictionServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _manager(self, config: ModelConfig) -> ModelManager:
        model = ModelManager(
            config,
            self._poll_seconds,
            load=self._load,
            on_load=functools.partial(self.metrics.load, config.name),
        )
        self.metrics.watch_model(config.name, model.states)
        return model

    def _change_models(self, configs: Sequence[ModelConfig]) -> None:
        """Serves other models; called by a thread that works on a request."""
        before = set(self._models)
        try:
            self._models.change(configs)
        finally:
            # Also where nothing has changed: a manager that was made and given up has been watched last.
            for name, model in self._models.items():
                self.metrics.watch_model(name, model.states)
            for name in {*before, *(config.name for config in configs)} - set(self._models):
                self.metrics.forget_model(name)
        self._loop.run(self._grpc.set_models(before, self._models))

    def _load(self, directory: str, name: str, version: int) -> Runner:
        """Loads a version and runs its warm-up requests."""
        check_model(directory)
        servable = Servable(directory, name, version, self._options.tensorflow_threads)
        try:
            run_warmup(servable, directory)
        except BaseException:
            servable.close()
            raise
        if self._options.batching is None:
            return servable
        return BatchedServable(
            servable, self._options.batching, functools.partial(self.metrics.batch, name, version)
        )

    def _listen(self, loop: EventLoop, credentials: grpc.ServerCredentials | None) -> GrpcServer:
        server = GrpcServer(
            GrpcServices(
                prediction=PredictionService(self._runner, self._recorders),
                model=ModelService(
                    self._models, self._recorders, self._change_models if self._options.allow_reload else None
                ),
                oip=OipGrpc(self._oip, self._recorders),
            ),
            self._models,
            loop,
            self._pools,
            self._arrivals,
            self._address,
            credentials,
            self._options.max_request_bytes,
        )
        self.port = server.port
        return server

    def _listen_for_http(self, loop: EventLoop, port: int, context: ssl.SSLContext | None) -> HttpServer:
        services = HttpServices(
            rest=RestApi(self._runner, self._recorders),
            oip=OipRest(self._oip, self._recorders),
            registry=self.metrics.registry,
            is_ready=lambda: self._ready,
            readiness=self._readiness,
        )
        return HttpServer(
            services,
            loop,
            self._pools,
            self._arrivals,
            self._host,
            port,
            context,
            self._options.max_request_bytes,
            self._options.http_seconds,
        )

    def _readiness(self) -> str:
        """What /readyz says: a line for the server, and one for each version that it knows of."""
        lines = ["ready" if self._ready else "not ready"]
        for name, model in self._models.items():
            states = ((state.version, state.name) for state in model.states())
            lines += [f"{name} version {version}: {state}" for version, state in states if state != "end"]
        return "\n".join(lines) + "\n"

    async def _drain(self, grace: float | None) -> None:
        ends = [self._grpc.stop(grace)]
        if self._http is not None:
            ends.append(self._http.drain(grace))
        await asyncio.gather(*ends)

    def _unload(self) -> None:
        self._models.stop()
        if self._http is not None:
            self._loop.run(self._http.close())
        self._loop.close()
        self._pools.close()
        if self._traces is not None:
            self._traces.close()


@contextlib.contextmanager
def termination() -> Iterator[Callable[[], None]]:
    """Keeps SIGTERM and SIGINT from killing the process while the block runs; the function given waits for one of them.

    Only the main thread can use it. The signal comes through a socket (`signal.set_wakeup_fd`). A handler in Python
    runs only when the main thread runs, and a main thread that waits for a lock is not woken by a signal that came
    just before, or to another thread.
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
