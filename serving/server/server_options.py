"""The settings of a server."""

from dataclasses import dataclass

from serving.base.tls import ServerTls
from serving.server.models.batched_servable import BatchingConfig
from serving.server.tensors import MAX_BYTES

REQUESTS_A_WORKER = 16
"""Requests that a server takes at once by default, for each of its workers."""


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """The settings of a server. The defaults fit a server that has one machine for itself.

    Attributes:
        workers: Number of Predict requests that are worked on at once, or wait for a batch. More requests wait for one
            of these to end.
        max_requests: Most Predict requests that are worked on or wait; one more is answered RESOURCE_EXHAUSTED. None
            stands for 16 a worker.
        max_bytes_at_once: Most bytes of all requests that are worked on or wait; one more is answered UNAVAILABLE. None
            stands for `max_request_bytes`.
        max_request_bytes: Most bytes of one request, and of one tensor in it; a larger one is answered
            RESOURCE_EXHAUSTED. (gRPC's default of 4 MiB is 12 videos of 300 frames.) A request that is made of the
            shortest strings takes 16 times its bytes.
        max_videos: Most videos of one request; more are answered INVALID_ARGUMENT. They bound the memory that a model
            takes.
        batching: The sizes and the waiting times of batches; None runs every request alone.
        tls: The server's certificate; None listens for plain text.
        allow_reload: Whether clients may change what is served (HandleReloadConfigRequest); only with mutual TLS.
        http_port: Port of HTTP: predictions, /metrics, /healthz and /readyz; 0 takes a free one, None opens none.
        http_seconds: Longest time that a request over HTTP, which brings no deadline, may take when it has come.
        otlp_endpoint: URL of the OpenTelemetry collector that gets a span of each request; None for none.
        tensorflow_threads: Number of threads in each of TensorFlow's two pools, within and between operations; 0 lets
            it choose.
    """

    workers: int = 8
    max_requests: int | None = None
    max_bytes_at_once: int | None = None
    max_request_bytes: int = MAX_BYTES
    max_videos: int = 1024
    batching: BatchingConfig | None = None
    tls: ServerTls | None = None
    allow_reload: bool = False
    http_port: int | None = None
    http_seconds: float = 30.0
    otlp_endpoint: str | None = None
    tensorflow_threads: int = 0

    @property
    def requests_at_once(self) -> int:
        """The number of requests that are taken, with the default in place."""
        return self.max_requests or self.workers * REQUESTS_A_WORKER

    @property
    def bytes_at_once(self) -> int:
        """The bytes of all requests that are taken, with the default in place."""
        return self.max_bytes_at_once or self.max_request_bytes
