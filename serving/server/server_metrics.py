"""Counts what a server does, for Prometheus."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WAITS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)

_PREDICTIONS = {"grpc": "Predict", "rest": "Predict", "oip-grpc": "ModelInfer", "oip-rest": "ModelInfer"}
"""The method of each protocol that predicts."""

_TENSORFLOW_METHODS = ("Predict", "Classify", "Regress", "MultiInference", "ModelInfer")
"""What counts as a request in TensorFlow Serving's metrics."""

_CODES = (
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
)
"""Statuses whose series are there before the first request with them: else its increase would not be seen."""

_ERROR_LENGTH = 200


class _State(Protocol):
    version: int
    state: int
    error: str


class ServerMetrics:
    """The counters of one server, in a registry of their own.

    Beside them stand those of TensorFlow Serving that mean the same, under its names.

    Args:
        models: Names of the served models. Another name that a client asks for is not recorded, since anybody could
            fill the memory with names.
    """

    def __init__(self, models: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        self._models = set(models)
        self._states: dict[str, Callable[[], Sequence[_State]]] = {}
        self._requests = Counter(
            "yt8m_requests",
            "Requests by status.",
            ("model", "version", "protocol", "method", "code"),
            registry=self.registry,
        )
        self._latency = Histogram(
            "yt8m_request_seconds",
            "From the request's start to its answer.",
            ("model", "version", "protocol", "method"),
            buckets=_LATENCIES,
            registry=self.registry,
        )
        self._batch_rows = Histogram(
            "yt8m_batch_videos",
            "Videos of a batch.",
            ("model", "version"),
            buckets=_SIZES,
            registry=self.registry,
        )
        self._queue = Histogram(
            "yt8m_queue_seconds",
            "That a request waited for its batch to run.",
            ("model", "version"),
            buckets=_WAITS,
            registry=self.registry,
        )
        self._versions = Gauge(
            "yt8m_versions_loaded", "Versions that take requests.", ("model",), registry=self.registry
        )
        self._loads = Counter(
            "yt8m_version_loads",
            "Attempts to load a version, by result (loaded, failed).",
            ("model", "result"),
            registry=self.registry,
        )
        self._refused = Counter(
            "yt8m_refused_requests",
            "Requests that were not worked on, since the server had too much to do.",
            ("code",),
            registry=self.registry,
        )
        self._in_flight = Gauge(
            "yt8m_requests_in_flight",
            "Requests that are worked on or wait.",
            ("pool",),
            registry=self.registry,
        )
        self._bytes = Gauge(
            "yt8m_request_bytes_in_flight", "Bytes of the requests in flight.", registry=self.registry
        )
        for code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE):
            self._refused.labels(code.name)
        ProcessCollector(registry=self.registry)
        self.registry.register(_Collected(self._version_states))
        self.registry.register(_Collected(self._tensorflow_serving))

    def request(
        self,
        model: str,
        version: int | None,
        protocol: str,
        method: str,
        code: grpc.StatusCode,
        seconds: float,
    ) -> None:
        """Records an answered request; `version` is None where no version was reached."""
        labels = (model if model in self._models else "", _label(version), protocol, method)
        self._requests.labels(*labels, code.name).inc()
        self._latency.labels(*labels).observe(seconds)

    def refused(self, code: grpc.StatusCode) -> None:
        """Records a request that was refused since the server had too much to do."""
        self._refused.labels(code.name).inc()

    def batch(self, model: str, version: int, rows: int, waited: Sequence[float]) -> None:
        """Records a batch: the number of its videos, and the seconds that each of its requests waited."""
        self._batch_rows.labels(model, version).observe(rows)
        for seconds in waited:
            self._queue.labels(model, version).observe(seconds)

    def load(self, model: str, version: int, has_failed: bool) -> None:
        """Records an attempt to load a version. A version that is loaded gets its series."""
        self._loads.labels(model, "failed" if has_failed else "loaded").inc()
        if has_failed:
            return
        self._forget_unloaded(model)
        for protocol, method in _PREDICTIONS.items():
            labels = (model, _label(version), protocol, method)
            self._latency.labels(*labels)
            for code in _CODES:
                self._requests.labels(*labels, code.name)
        for histogram in (self._batch_rows, self._queue):
            histogram.labels(model, version)

    def watch_model(self, model: str, states: Callable[[], Sequence[_State]]) -> None:
        """Has the states of a model's versions asked for at each scrape."""
        self._models.add(model)
        self._states[model] = states
        self._versions.labels(model).set_function(
            lambda: sum(state.state == _AVAILABLE for state in states())
        )
        for result in ("loaded", "failed"):
            self._loads.labels(model, result)

    def forget_model(self, model: str) -> None:
        """Ends the series of a model that is served no more; its name is not recorded from then on."""
        self._models.discard(model)
        self._states.pop(model, None)
        self._versions.remove(model)
        for metric in (self._requests, self._latency, self._batch_rows, self._queue, self._loads):
            metric.remove_by_labels({"model": model})

    def watch_pool(self, pool: str, there: Callable[[], int]) -> None:
        """Has `there` called at each scrape, for the number of requests of a pool of threads."""
        self._in_flight.labels(pool).set_function(there)

    def watch_bytes(self, taken: Callable[[], int]) -> None:
        """Has `taken` called at each scrape, for the bytes of the requests that are there."""
        self._bytes.set_function(taken)

    def _forget_unloaded(self, model: str) -> None:
        """Removes the series of versions that are gone: a server goes on for months and sees many."""
        known = self._states[model]() if model in self._states else ()
        gone = {str(state.version) for state in known if state.state == _END}
        for metric in (self._requests, self._latency, self._batch_rows, self._queue):
            for version in gone:
                metric.remove_by_labels({"model": model, "version": version})

    def _version_states(self) -> Iterator[Metric]:
        state = GaugeMetricFamily(
            "yt8m_version_state",
            "1 for the state of each version: LOADING, AVAILABLE, UNLOADING, FAILED.",
            labels=("model", "version", "state"),
        )
        failed = GaugeMetricFamily(
            "yt8m_version_failed",
            "1 for each version that did not load, with the reason.",
            labels=("model", "version", "error"),
        )
        for model, states in list(self._states.items()):
            for each in states():
                if each.error:
                    failed.add_metric((model, str(each.version), each.error[:_ERROR_LENGTH]), 1)
                if each.error or each.state != _END:
                    name = "FAILED" if each.error else _STATE_NAMES.get(each.state, "UNKNOWN")
                    state.add_metric((model, str(each.version), name), 1)
        yield state
        yield failed

    def _tensorflow_serving(self) -> Iterator[Metric]:
        counts: dict[tuple[str, str], float] = defaultdict(float)
        for labels, value in _samples(self._requests.collect(), "yt8m_requests_total"):
            if labels["model"] and labels["method"] in _TENSORFLOW_METHODS:
                counts[labels["model"], labels["code"]] += value
        # Not a counter, whose name prometheus_client would have end with _total.
        count = Metric(":tensorflow:serving:request_count", "The total number of requests.", "unknown")
        for (model, code), value in counts.items():
            count.add_sample(count.name, {"model_name": model, "status": code}, value)
        yield count
        latency = Metric(
            ":tensorflow:serving:request_latency",
            "Distribution of wall time (in microseconds) for Tensorflow Serving request.",
            "histogram",
        )
        totals: dict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)
        for family in self._latency.collect():
            for sample in family.samples:
                labels, suffix = dict(sample.labels), sample.name.removeprefix("yt8m_request_seconds")
                if suffix == "_created" or not labels["model"] or labels["method"] not in _TENSORFLOW_METHODS:
                    continue
                of_rest = labels["protocol"].endswith("rest")
                translated = {
                    "model_name": labels["model"],
                    "API": "predict" if of_rest else labels["method"].replace("ModelInfer", "Predict"),
                    "entrypoint": "REST" if of_rest else "GRPC",
                }
                if "le" in labels:
                    translated["le"] = _microseconds(labels["le"])
                totals[suffix, tuple(translated.items())] += sample.value * (1e6 if suffix == "_sum" else 1)
        for (suffix, labels), value in totals.items():
            latency.add_sample(latency.name + suffix, dict(labels), value)
        yield latency


_AVAILABLE, _END = 30, 50
_STATE_NAMES = {10: "START", 20: "LOADING", _AVAILABLE: "AVAILABLE", 40: "UNLOADING", _END: "END"}
"""ModelVersionStatus.State of tensorflow_serving/apis/get_model_status.proto."""


class _Collected(Collector):
    """Metrics that are made at each scrape."""

    def __init__(self, make: Callable[[], Iterable[Metric]]) -> None:
        self._make = make

    def collect(self) -> Iterable[Metric]:
        """Makes the metrics."""
        return self._make()

    def describe(self) -> Iterable[Metric]:
        """Names none: they are made later."""
        return ()


def samples(registry: CollectorRegistry, name: str) -> Iterator[tuple[dict[str, str], float]]:
    """Yields the labels and the value of each sample of that name."""
    return _samples(registry.collect(), name)


def _samples(metrics: Iterable[Metric], name: str) -> Iterator[tuple[dict[str, str], float]]:
    for metric in metrics:
        for sample in metric.samples:
            if sample.name == name:
                yield sample.labels, sample.value


def _microseconds(bound: str) -> str:
    return bound if bound == "+Inf" else f"{float(bound) * 1e6:g}"


def _label(version: int | None) -> str:
    return "" if version is None else str(version)
