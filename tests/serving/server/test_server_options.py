"""Health, metrics, batching, limits and TLS of the embedded server."""

import re
import threading
import time
import urllib.error
import urllib.request

import grpc
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.base.errors import NoServerError
from serving.base.tls import ClientTls, ServerTls
from serving.client.client import PredictClient
from serving.server.models.batched_servable import BatchingConfig
from serving.server.server import PredictionServer, ServerOptions
from serving.server.server_metrics import samples
from tests.serving.api import WAIT, Stubs, predict_request, wait_until
from tests.serving.certificates import Authority
from trainer.base.errors import UserError


def get(server, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.http_port}{path}", timeout=WAIT) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_metrics_and_readiness(base, monkeypatch):
    options = ServerOptions(http_port=0, batching=BatchingConfig(max_batch_size=4, timeout_seconds=0.001))
    server = PredictionServer(base, "m", port=0, options=options)
    loading, load = [], server._load

    def watched_load(*arguments):
        loading.append((get(server, "/healthz")[0], get(server, "/readyz")[0]))
        return load(*arguments)

    monkeypatch.setattr(server._models["m"], "_load", watched_load)
    server.start()
    assert loading == [(200, 503)]
    assert [get(server, path)[0] for path in ("/healthz", "/readyz", "/nothing")] == [200, 200, 404]
    stubs = Stubs(server.port)
    health = health_pb2_grpc.HealthStub(stubs.channel)
    for service in ("", "m", "tensorflow.serving.PredictionService"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=WAIT)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as raised:
        health.Check(health_pb2.HealthCheckRequest(service="n"), timeout=WAIT)
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    stubs.prediction.Predict(predict_request(examples=[b"x"] * 3))
    for model, text in (("m", "Task size 5 is larger than maximum input batch size 4"), ("n", "not found")):
        with pytest.raises(grpc.RpcError) as raised:
            stubs.prediction.Predict(predict_request(model=model, examples=[b"x"] * 5))
        assert text in raised.value.details()
    _, page = get(server, "/monitoring/prometheus/metrics")
    assert page.count("yt8m_requests_total") == get(server, "/metrics")[1].count("yt8m_requests_total")
    for line in (
        'yt8m_requests_total{code="OK",method="Predict",model="m",protocol="grpc",version="3"} 1.0',
        'yt8m_requests_total{code="INVALID_ARGUMENT",method="Predict",model="m",protocol="grpc",version="3"} 1.0',
        'yt8m_requests_total{code="INTERNAL",method="Predict",model="m",protocol="rest",version="3"} 0.0',
        'yt8m_requests_total{code="NOT_FOUND",method="Predict",model="",protocol="grpc",version=""} 1.0',
        'yt8m_request_seconds_count{method="Predict",model="m",protocol="grpc",version="3"} 2.0',
        'yt8m_batch_videos_sum{model="m",version="3"} 3.0',
        'yt8m_queue_seconds_count{model="m",version="3"} 1.0',
        'yt8m_versions_loaded{model="m"} 1.0',
        'yt8m_version_state{model="m",state="AVAILABLE",version="3"} 1.0',
        'yt8m_version_loads_total{model="m",result="failed"} 0.0',
        'yt8m_refused_requests_total{code="RESOURCE_EXHAUSTED"} 0.0',
        'yt8m_requests_in_flight{pool="predictions"} 0.0',
        ':tensorflow:serving:request_count{model_name="m",status="INVALID_ARGUMENT"} 1.0',
        ':tensorflow:serving:request_latency_count{API="Predict",entrypoint="GRPC",model_name="m"} 2.0',
    ):
        assert re.search(f"^{re.escape(line)}$", page, re.MULTILINE), line
    assert "process_resident_memory_bytes" in page
    assert get(server, "/readyz") == (200, "ready\nm version 3: available\n")
    watch = health.Watch(health_pb2.HealthCheckRequest(service="m"), timeout=WAIT)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    begin = time.monotonic()
    stopper = threading.Thread(target=server.stop, args=(WAIT,))
    stopper.start()
    assert [answer.status for answer in watch] == [health_pb2.HealthCheckResponse.NOT_SERVING]
    stopper.join()
    assert time.monotonic() - begin < WAIT / 2  # who watches does not hold up the end
    stubs.channel.close()
    with pytest.raises(urllib.error.URLError):
        get(server, "/healthz")


def test_an_http_port_that_is_taken(base):
    with PredictionServer(base, port=0, options=ServerOptions(http_port=0)) as server:
        taken = ServerOptions(http_port=server.http_port)
        with pytest.raises(UserError, match="cannot listen for HTTP"):
            PredictionServer(base, port=0, options=taken).start()


def test_batched_requests_of_many_clients_get_their_own_answers(base):
    options = ServerOptions(workers=16, batching=BatchingConfig(max_batch_size=8, timeout_seconds=0.05))
    wrong, begin = [], threading.Barrier(8)

    def ask(client, length):
        begin.wait(WAIT)
        for _ in range(5):
            classes, scores = client.predict([b"x" * length, b"y"])
            if scores[:, 0].tolist() != [90.0 * length, 90.0] or classes.shape != (2, 20):
                wrong.append(scores)
        try:
            client.predict([b"x", b"y", b""])
            wrong.append("no refusal")
        except UserError as error:
            if "[row] [2] [is empty]" not in str(error):
                wrong.append(error)

    with PredictionServer(base, "m", port=0, options=options) as server:
        with PredictClient(f"127.0.0.1:{server.port}", "m") as client:
            askers = [threading.Thread(target=ask, args=(client, 1 + number)) for number in range(8)]
            for asker in askers:
                asker.start()
            for asker in askers:
                asker.join(WAIT)
        ((_, batches),) = samples(server.metrics.registry, "yt8m_batch_videos_count")
    assert wrong == []
    assert batches < 8 * 6  # some shared one


def test_limits_of_size_and_number(base, held_run):
    entered, go_on, _ = held_run
    options = ServerOptions(max_requests=1, max_request_bytes=1000)
    with PredictionServer(base, "m", port=0, options=options) as server:
        stubs = Stubs(server.port)
        running = stubs.prediction.Predict.future(predict_request(examples=[b"x"]))
        assert entered.wait(WAIT)
        with pytest.raises(grpc.RpcError) as raised:
            stubs.prediction.Predict(predict_request(examples=[b"x"]))
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        go_on.set()
        assert tf.make_ndarray(running.result(WAIT).outputs["scores"])[0, 0] == 90
        with pytest.raises(grpc.RpcError) as raised:
            stubs.prediction.Predict(predict_request(examples=[b"x" * 2000]))
        assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "larger than max" in raised.value.details()
        stubs.channel.close()


def test_requests_together_are_bounded_by_default(base, held_run):
    entered, go_on, _ = held_run
    options = ServerOptions(workers=2, max_request_bytes=3000)
    with PredictionServer(base, "m", port=0, options=options) as server:
        stubs = Stubs(server.port)
        running = stubs.prediction.Predict.future(predict_request(examples=[b"x" * 2000]))
        assert entered.wait(WAIT)
        with pytest.raises(grpc.RpcError) as raised:
            stubs.prediction.Predict(predict_request(examples=[b"x" * 2000]), timeout=WAIT)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        assert "too many bytes of requests at once" in raised.value.details()
        small = stubs.prediction.Predict.future(predict_request(examples=[b"x"]))
        waiting = [stubs.prediction.Predict.future(predict_request(examples=[b"x"])) for _ in range(40)]
        # 16 for each of two workers are taken, and the others refused at once.
        wait_until(lambda: sum(future.done() for future in waiting) == 40 + 2 - 32)
        refused = [future for future in waiting if future.done()]
        assert {future.code() for future in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        go_on.set()
        for future in {running, small, *waiting} - set(refused):
            assert future.result(WAIT).outputs
        # What has been answered counts no more.
        assert stubs.prediction.Predict(predict_request(examples=[b"x" * 2000]), timeout=WAIT).outputs
        stubs.channel.close()


def test_a_request_whose_deadline_passed_in_the_queue_is_not_run(base, held_run):
    entered, go_on, asked = held_run
    with PredictionServer(base, "m", port=0, options=ServerOptions(workers=1)) as server:
        stubs = Stubs(server.port)
        running = stubs.prediction.Predict.future(predict_request(examples=[b"first"]))
        assert entered.wait(WAIT)
        with pytest.raises(grpc.RpcError) as raised:
            stubs.prediction.Predict(predict_request(examples=[b"late"]), timeout=0.1)
        assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        go_on.set()
        running.result(WAIT)
        stubs.prediction.Predict(predict_request(examples=[b"last"]), timeout=WAIT)
        stubs.channel.close()
    assert asked == [[b"first"], [b"last"]]


def test_tls_and_mutual_tls(base, tmp_path):
    ours, others = Authority(tmp_path, "ours"), Authority(tmp_path, "others")
    certificate, key = ours.issue("server")
    client_certificate, client_key = ours.issue("client")
    stranger_certificate, stranger_key = others.issue("stranger")

    def score(server, tls):
        with PredictClient(f"127.0.0.1:{server.port}", "m", 10, tls, attempts=1) as client:
            return client.predict([b"x"])[1][0, 0]

    tls = ServerTls(certificate=certificate, key=key)
    with PredictionServer(base, "m", port=0, options=ServerOptions(tls=tls)) as server:
        assert score(server, ClientTls(ca=ours.ca)) == 90
        for wrong, problem in (
            (None, "the server there speaks TLS: give --tls-ca"),
            (ClientTls(ca=others.ca), "TLS: the server's certificate is not of the authority in --tls-ca"),
        ):
            with pytest.raises(NoServerError, match=problem):
                score(server, wrong)
        named = PredictClient(f"localhost:{server.port}", "m", 10, ClientTls(ca=ours.ca), attempts=1)
        with named, pytest.raises(NoServerError, match="certificate is for another host name"):
            named.predict([b"x"])
    with (
        PredictionServer(base, "m", port=0) as server,
        pytest.raises(NoServerError, match="does not speak TLS: leave --tls-ca out"),
    ):
        score(server, ClientTls(ca=ours.ca))
    mutual = ServerTls(certificate=certificate, key=key, client_ca=ours.ca)
    with PredictionServer(base, "m", port=0, options=ServerOptions(tls=mutual)) as server:
        assert score(server, ClientTls(ca=ours.ca, certificate=client_certificate, key=client_key)) == 90
        stranger = ClientTls(ca=ours.ca, certificate=stranger_certificate, key=stranger_key)
        for wrong in (ClientTls(ca=ours.ca), stranger):
            with pytest.raises(NoServerError, match="it may want a client's certificate that it trusts"):
                score(server, wrong)


def test_wrong_certificate_files(base, tmp_path):
    missing = ServerTls(certificate=str(tmp_path / "none"), key=str(tmp_path / "none"))
    with pytest.raises(UserError, match="cannot read the PEM file"):
        PredictionServer(base, port=0, options=ServerOptions(tls=missing)).start()
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UserError, match="is not a PEM file"):
        ClientTls(ca=str(tmp_path / "text")).credentials()
    (tmp_path / "torn").write_text("-----BEGIN CERTIFICATE-----\nhalf of it")
    with pytest.raises(
        UserError, match="no certificate in it that can be read; give the PEM file of the authority"
    ):
        ClientTls(ca=str(tmp_path / "torn")).credentials()
    authority = Authority(tmp_path, "authority")
    (certificate, _), (_, key) = authority.issue("one"), authority.issue("other")
    for wrong in (ServerTls, ClientTls):
        with pytest.raises(UserError, match="are not a certificate and its key"):
            wrong(certificate=certificate, key=key).credentials()
    with pytest.raises(UserError, match="belong together"):
        ClientTls(certificate=str(tmp_path / "text")).credentials()
