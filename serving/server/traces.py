"""OpenTelemetry traces: a span for each request, sent by OTLP over HTTP (JSON).

Names of attributes: https://opentelemetry.io/docs/specs/semconv/rpc/. How many requests are traced is up to the caller,
and otherwise to OpenTelemetry's own environment variables (OTEL_TRACES_SAMPLER).
"""

import time
import urllib.parse

import grpc
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from serving.server.listening import check_endpoint
from serving.server.status import trace_parent

_PATH = "/v1/traces"


class Traces:
    """Records requests as spans, and sends them in the background.

    A collector that does not answer costs no request anything: what does not fit in the queue is dropped.

    Args:
        endpoint: URL of the collector, such as http://localhost:4318; /v1/traces is added where it has no path.

    Raises:
        UserError: If it is no URL.
    """

    def __init__(self, endpoint: str) -> None:
        check_endpoint(endpoint)
        has_path = urllib.parse.urlsplit(endpoint).path.strip("/")
        exporter = OTLPSpanExporter(endpoint if has_path else endpoint.rstrip("/") + _PATH)
        self._provider = TracerProvider(resource=Resource.create({"service.name": "yt8m"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("yt8m.serving")
        self._parents = TraceContextTextMapPropagator()

    def request(
        self,
        model: str,
        version: int | None,
        protocol: str,
        method: str,
        code: grpc.StatusCode,
        seconds: float,
    ) -> None:
        """Records an answered request, as a part of the trace that its client named."""
        parent = trace_parent.get()
        end = time.time_ns()
        span = self._tracer.start_span(
            method,
            context=self._parents.extract({"traceparent": parent}) if parent else None,
            kind=SpanKind.SERVER,
            attributes={
                "rpc.method": method,
                "rpc.response.status_code": code.name,
                "yt8m.protocol": protocol,
                "yt8m.model": model,
                "yt8m.version": "" if version is None else str(version),
            },
            start_time=end - int(seconds * 1e9),
        )
        if code is not grpc.StatusCode.OK:
            span.set_status(Status(StatusCode.ERROR, code.name))
        span.end(end)

    def close(self) -> None:
        """Sends what has not been sent."""
        self._provider.shutdown()
