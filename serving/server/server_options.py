"""How a server runs."""

from dataclasses import dataclass

from serving.base.tls import ServerTls
from serving.server.batched_servable import BatchingConfig
from serving.server.tensors import MAX_BYTES

REQUESTS_A_WORKER = 16
"""Requests that a server takes at once by default, for each of its workers."""


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

    @property
    def requests_at_once(self) -> int:
        """The number of requests that are taken, with the default in place."""
        return self.max_requests or self.workers * REQUESTS_A_WORKER

    @property
    def bytes_at_once(self) -> int:
        """The bytes of all requests that are taken, with the default in place."""
        return self.max_bytes_at_once or self.max_request_bytes
