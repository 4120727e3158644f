"""Spans reach a collector, as parts of the traces that clients name."""

import http.server
import json
import threading

import pytest
import requests

from serving.server.listening import check_endpoint
from serving.server.server import PredictionServer, ServerOptions
from tests.serving.api import WAIT, Stubs, predict_request
from trainer.base.errors import UserError


@pytest.fixture
def collector():
    """A collector's address, and the spans that it got."""
    spans = []

    class Collector(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/v1/traces":
                for resource in document["resourceSpans"]:
                    names = [(each["key"], each["value"]) for each in resource["resource"]["attributes"]]
                    assert ("service.name", {"stringValue": "yt8m"}) in names
                    spans.extend(span for scope in resource["scopeSpans"] for span in scope["spans"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", spans
        server.shutdown()


def test_a_span_for_each_request(base, collector):
    endpoint, spans = collector
    options = ServerOptions(http_port=0, otlp_endpoint=endpoint)
    with PredictionServer(base, "m", port=0, options=options) as server:
        stubs = Stubs(server.port)
        by_grpc, by_rest = "1" * 32, "2" * 32
        metadata = [("traceparent", f"00-{by_grpc}-{'3' * 16}-01")]
        stubs.prediction.Predict(predict_request(examples=[b"x"]), timeout=WAIT, metadata=metadata)
        headers = {"traceparent": f"00-{by_rest}-{'4' * 16}-01"}
        url = f"http://127.0.0.1:{server.http_port}/v1/models/m:predict"
        assert not requests.post(url, json={"instances": [3]}, headers=headers, timeout=WAIT).ok
        requests.post(url, json={"instances": ["x"]}, timeout=WAIT)
        stubs.channel.close()
    found = {span["traceId"]: span for span in spans if span.get("parentSpanId")}
    assert (found[by_grpc]["parentSpanId"], found[by_rest]["parentSpanId"]) == ("3" * 16, "4" * 16)
    attributes = {each["key"]: each["value"]["stringValue"] for each in found[by_grpc]["attributes"]}
    assert attributes["yt8m.version"] == "3"
    assert attributes["yt8m.protocol"] == "grpc"
    assert found[by_rest]["status"]["code"] == 2  # an error
    assert len(spans) == 3
    assert all(int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"]) for span in spans)


def test_addresses_that_are_none():
    for wrong in ("localhost:4318", "ftp://x", "http://"):
        with pytest.raises(UserError, match="is a URL such as"):
            check_endpoint(wrong)
