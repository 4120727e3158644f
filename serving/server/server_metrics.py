"""What a server tells Prometheus of itself."""

from collections.abc import Callable, Iterator, Sequence

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WAITS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class ServerMetrics:
    """The counters of one server, in a registry of their own.

    Args:
        models: Names of the models; what a client calls another one is not recorded, or anybody could fill
            the memory with names.
    """

    def __init__(self, models: Sequence[str]) -> None:
        self.registry = CollectorRegistry()
        self._models = frozenset(models)
        self._requests = Counter(
            "yt8m_requests", "Requests by status.", ("model", "method", "code"), registry=self.registry
        )
        self._latency = Histogram(
            "yt8m_request_seconds",
            "From the request's start to its answer.",
            ("model", "method"),
            buckets=_LATENCIES,
            registry=self.registry,
        )
        self._batch_rows = Histogram(
            "yt8m_batch_videos", "Videos of a batch.", ("model",), buckets=_SIZES, registry=self.registry
        )
        self._queue = Histogram(
            "yt8m_queue_seconds",
            "That a request waited for its batch to run.",
            ("model",),
            buckets=_WAITS,
            registry=self.registry,
        )
        self._versions = Gauge(
            "yt8m_versions_loaded", "Versions that take requests.", ("model",), registry=self.registry
        )

    def request(self, model: str, method: str, code: grpc.StatusCode, seconds: float) -> None:
        """Records an answered request."""
        model = model if model in self._models else ""
        self._requests.labels(model, method, code.name).inc()
        self._latency.labels(model, method).observe(seconds)

    def batch(self, model: str, rows: int, waited: Sequence[float]) -> None:
        """Records a batch: its videos, and the seconds that each of its requests waited."""
        self._batch_rows.labels(model).observe(rows)
        for seconds in waited:
            self._queue.labels(model).observe(seconds)

    def watch_versions(self, model: str, count: Callable[[], int]) -> None:
        """Has `count` asked at each scrape."""
        self._versions.labels(model).set_function(count)


def samples(registry: CollectorRegistry, name: str) -> Iterator[tuple[dict[str, str], float]]:
    """Labels and value of each sample of that name."""
    for metric in registry.collect():
        for sample in metric.samples:
            if sample.name == name:
                yield sample.labels, sample.value
