"""The server of HTTP below the REST API: limits, clients that stop or leave, TLS, and its end."""

import concurrent.futures
import gzip
import json
import socket
import threading
import time

import pytest
import requests

from serving.base.tls import ServerTls
from serving.server import arrivals
from serving.server.http import http_server
from serving.server.models.servable import Servable
from serving.server.server import PredictionServer, ServerOptions
from serving.store import model_store
from tests.serving.api import WAIT, wait_until
from tests.serving.certificates import Authority
from tests.serving.rest import PREDICT, get, post
from tests.serving.tiny_model import write_tiny_model


def test_limits(base, held_run, monkeypatch, caplog):
    entered, go_on, _ = held_run
    body = {"instances": ["x" * 2000]}
    options = ServerOptions(http_port=0, workers=1, max_requests=2, max_request_bytes=3000)
    with PredictionServer(base, "m", port=0, options=options) as server:
        assert post(server, PREDICT, {"instances": ["x" * 3000]}) == (
            413,
            {"error": "the request is larger than 3000 bytes (short values in JSON count for 10 and more)"},
        )
        assert post(server, PREDICT, {"instances": [[]] * 200})[0] == 413  # 800 bytes, of which come 14,000
        chunks = (b"x" * 1000 for _ in range(10))
        url = f"http://127.0.0.1:{server.http_port}{PREDICT}"
        assert requests.post(url, data=chunks, timeout=WAIT).status_code == 413
        compressed = {"headers": {"Content-Encoding": "gzip"}}
        assert post(server, PREDICT, gzip.compress(b" " * 10**7), **compressed)[0] == 413
        assert post(server, PREDICT, gzip.compress(b"{}"), **compressed)[0] == 400
        assert "the body cannot be read" in post(server, PREDICT, b"{}", **compressed)[1]["error"]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            running = pool.submit(post, server, PREDICT, body)
            assert entered.wait(WAIT)
            status, answer = post(server, PREDICT, body)
            assert (status, "too many bytes" in answer["error"]) == (503, True)
            waiting = pool.submit(post, server, PREDICT, {"instances": ["x"]})
            while server._pools.predictions.there < 2:
                time.sleep(0.01)
            status, answer = post(server, PREDICT, {"instances": ["x"]})
            assert (status, "too many requests" in answer["error"]) == (429, True)
            # States do not wait for predictions.
            assert get(server, "/v1/models/m")[0] == 200
            go_on.set()
            assert running.result()[0] == waiting.result()[0] == 200
        page = requests.get(f"http://127.0.0.1:{server.http_port}/metrics", timeout=WAIT).text
        for code in ("UNAVAILABLE", "RESOURCE_EXHAUSTED"):
            assert f'yt8m_refused_requests_total{{code="{code}"}} 1.0' in page
        assert server._pools.budget.taken == 0
        monkeypatch.setattr(server._http, "_seconds", 0.2)
        go_on.clear()
        assert post(server, PREDICT, {"instances": ["x"]})[0] == 504
        go_on.set()
    assert "Unhandled" not in caplog.text  # what a client does wrong is no fault of the server


@pytest.mark.parametrize(
    "head", [b"", b"POST", b"POST /v1/models/m:predict HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\n{"]
)
def test_half_sent_requests_hold_no_threads(rest, monkeypatch, head, caplog):
    before = threading.active_count()
    monkeypatch.setattr(arrivals, "PROMPT_SECONDS", 0.5)
    half_sent = []
    try:
        for _ in range(300):
            half_sent.append(socket.create_connection(("127.0.0.1", rest.http_port), WAIT))
            half_sent[-1].sendall(head)
        begin = time.monotonic()
        assert post(rest, PREDICT, {"instances": ["x"]})[0] == 200
        assert time.monotonic() - begin < 2
        assert threading.active_count() <= before + 8  # the pool's own
        if head.endswith(b"{"):
            ended = sum(connection.recv(4096).startswith(b"HTTP/1.1 503") for connection in half_sent[50:60])
            assert ended >= 2
    finally:
        for connection in half_sent:
            connection.close()
    wait_until(lambda: rest._pools.budget.taken == 0)
    assert "failed" not in caplog.text  # who leaves is no news


def test_who_leaves_before_the_answer_leaves_nothing_behind(rest, caplog):
    body = json.dumps({"signature_name": "spin", "inputs": 500}).encode()
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    for number in range(60):
        with socket.create_connection(("127.0.0.1", rest.http_port), WAIT) as connection:
            connection.sendall(head + body)
            time.sleep(number % 8 / 1000)
    wait_until(lambda: rest._pools.predictions.there == 0)
    assert rest._pools.budget.taken == 0
    wait_until(lambda: not rest._http._running)  # the event loop's turn comes after the worker's
    assert "failed" not in caplog.text
    assert post(rest, PREDICT, {"instances": ["x"]})[0] == 200


def test_a_head_that_does_not_come_is_given_up(base, monkeypatch):
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.3)
    with PredictionServer(base, "m", port=0, options=ServerOptions(http_port=0)) as server:
        for head in (b"", b"GET /healthz HT"):
            with socket.create_connection(("127.0.0.1", server.http_port), WAIT) as connection:
                connection.sendall(head)
                assert connection.recv(100) == b""


def test_many_rapid_connections(rest):
    begin = time.monotonic()
    connections = [socket.create_connection(("127.0.0.1", rest.http_port), WAIT) for _ in range(500)]
    seconds = time.monotonic() - begin
    for connection in connections:
        connection.close()
    assert seconds < 5  # a full backlog costs a second a connection


def test_tls_and_mutual_tls(base, tmp_path):
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path, "others")
    certificate, key = ours.issue("server")

    def ask(server, ca, path="/v1/models/m", cert=None):
        url = f"https://127.0.0.1:{server.http_port}{path}"
        return requests.get(url, verify=ca, cert=cert, timeout=WAIT).status_code

    tls = ServerTls(certificate=certificate, key=key)
    with PredictionServer(base, "m", port=0, options=ServerOptions(tls=tls, http_port=0)) as server:
        assert ask(server, ours.ca) == 200
        with pytest.raises(requests.exceptions.SSLError):
            ask(server, others.ca)
        renewed = others.issue("renewed")
        for new, old in zip(renewed, (certificate, key), strict=True):
            with open(new, "rb") as source, open(old, "wb") as target:
                target.write(source.read())
        assert ask(server, others.ca) == 200
        with pytest.raises(requests.exceptions.SSLError):
            ask(server, ours.ca)
    certificate, key = ours.issue("server")
    mutual = ServerTls(certificate=certificate, key=key, client_ca=ours.ca)
    with PredictionServer(base, "m", port=0, options=ServerOptions(tls=mutual, http_port=0)) as server:
        assert ask(server, ours.ca, cert=ours.issue("client")) == 200
        assert ask(server, ours.ca) == 401
        assert ask(server, ours.ca, "/metrics") == 401
        assert ask(server, ours.ca, "/readyz") == 200  # probes have no certificate
        with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
            ask(server, ours.ca, cert=others.issue("stranger"))


def test_who_runs_gets_an_answer_and_who_is_new_is_refused_at_the_end(tmp_path, monkeypatch):
    base = str(tmp_path / "base")
    model_store.publish(write_tiny_model(str(tmp_path / "model")), base)
    entered, go_on = threading.Event(), threading.Event()
    run = Servable.run

    def slow_run(self, feeds, fetches):
        entered.set()
        assert go_on.wait(WAIT)
        return run(self, feeds, fetches)

    server = PredictionServer(base, "m", port=0, options=ServerOptions(http_port=0))
    server.start()
    monkeypatch.setattr(Servable, "run", slow_run)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = pool.submit(post, server, PREDICT, {"instances": ["x"]})
        assert entered.wait(WAIT)
        stopping = pool.submit(server.stop, WAIT)
        while server._ready:
            time.sleep(0.01)
        assert post(server, PREDICT, {"instances": ["x"]})[0] == 503
        go_on.set()
        assert running.result()[0] == 200
        stopping.result()
