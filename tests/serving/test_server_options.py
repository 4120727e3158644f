"""Several models, policies, labels, warm-up, health, metrics, limits and TLS of the embedded server."""

import re
import shutil
import threading
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from serving import model_store
from serving.batched_servable import BatchingConfig
from serving.client import PredictClient
from serving.errors import ServingError, TryAgainError
from serving.metrics import samples
from serving.model_config import ModelConfig, read_model_configs
from serving.servable import Servable
from serving.server import PredictionServer, ServerOptions
from serving.tls import ClientTls, ServerTls
from serving.version_policy import VersionPolicy
from tests.serving.api import WAIT, Stubs, predict_request, states, wait_until
from tests.serving.certificates import Authority
from tests.serving.tiny_model import write_tiny_model
from trainer.errors import UserError


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models")
    return [write_tiny_model(str(directory / f"x{factor}"), factor) for factor in (1.0, 2.0, 3.0)]


@pytest.fixture(scope="module")
def base(models, tmp_path_factory):
    """Versions 1, 2 and 3, which score once, twice and three times as much."""
    directory = str(tmp_path_factory.mktemp("base"))
    for model in models:
        model_store.publish(model, directory)
    return directory


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("latest", [7]), ("latest:2", [7, 5]), ("all", [7, 5, 2]), ("5,2,9", [5, 2]), ("latest:9", [7, 5, 2])],
)
def test_policies(text, chosen):
    assert VersionPolicy.parse(text).choose([2, 5, 7]) == chosen


@pytest.mark.parametrize("text", ["", "latest:0", "latest:x", "newest", "1,,2", "-1"])
def test_other_policies_are_refused(text):
    with pytest.raises(UserError, match="versions are latest"):
        VersionPolicy.parse(text)


CONFIG = """
model_config_list {
  config { name: "a" base_path: "/models/a" model_platform: "tensorflow" }
  config {
    name: "b" base_path: "/models/b"
    model_version_policy { specific { versions: 3 versions: 5 } }
    version_labels { key: "stable" value: 3 }
  }
  config { name: "c" base_path: "/c" model_version_policy { latest { num_versions: 2 } } }
  config { name: "d" base_path: "/d" model_version_policy { all {} } }
}
"""


def test_a_model_config_file_of_tensorflow_serving(tmp_path):
    path = tmp_path / "models.config"
    path.write_text(CONFIG)
    assert read_model_configs(str(path)) == [
        ModelConfig(name="a", base_path="/models/a"),
        ModelConfig(
            name="b",
            base_path="/models/b",
            policy=VersionPolicy(specific=(3, 5)),
            labels={"stable": 3},
        ),
        ModelConfig(name="c", base_path="/c", policy=VersionPolicy(latest=2)),
        ModelConfig(name="d", base_path="/d", policy=VersionPolicy(everything=True)),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no model"),
        ("models {}", "is not a ModelServerConfig"),
        ("model_config_list { config { name: 'a' } }", "needs a name and a base_path"),
        (
            "model_config_list { config { name: 'a' base_path: 'b' } config { name: 'a' base_path: 'c' } }",
            "two",
        ),
    ],
)
def test_a_wrong_model_config_file(tmp_path, text, problem):
    path = tmp_path / "models.config"
    path.write_text(text)
    with pytest.raises(UserError, match=problem):
        read_model_configs(str(path))


def test_several_models_versions_and_labels(base):
    configs = [
        ModelConfig(name="old", base_path=base, policy=VersionPolicy(specific=(1,))),
        ModelConfig(
            name="both", base_path=base, policy=VersionPolicy(latest=2), labels={"stable": 2, "canary": 3}
        ),
        ModelConfig(name="all", base_path=base, policy=VersionPolicy(everything=True)),
    ]
    with PredictionServer(configs, port=0) as server:
        stubs = Stubs(server.port)

        def score(model, version=None, label=""):
            request = predict_request(model=model, version=version, examples=[b"x"])
            if label:
                request.model_spec.version_label = label
            return tf.make_ndarray(stubs.prediction.Predict(request).outputs["scores"])[0, 0]

        assert [score("old"), score("both"), score("all"), score("all", 1)] == [30, 90, 90, 30]
        assert [score("both", label="stable"), score("both", label="canary")] == [60, 90]
        assert states(stubs, name="both") == [(3, "AVAILABLE"), (2, "AVAILABLE")]
        assert [version for version, _ in states(stubs, name="all")] == [3, 2, 1]
        for model, label, version in (("all", "stable", None), ("old", "", 3)):
            with pytest.raises(grpc.RpcError) as raised:
                score(model, version, label)
            text = raised.value.details()
            assert text in (
                "Unrecognized servable version label: stable",
                "Servable not found for request: Specific(old, 3)",
            )
        stubs.channel.close()


def test_a_label_must_point_to_a_served_version(base):
    config = ModelConfig(name="m", base_path=base, labels={"stable": 1})
    with pytest.raises(UserError, match="label stable of model m points to version 1, which is not served"):
        PredictionServer([config], port=0).start()
    config = ModelConfig(name="m", base_path=base, policy=VersionPolicy(specific=(1, 8)))
    with pytest.raises(UserError, match="has no version 8"):
        PredictionServer([config], port=0).start()


def with_warmup(model, directory, *requests):
    """A copy of a model with these warm-up requests."""
    copy = shutil.copytree(model, directory)
    (directory / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(directory / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for request in requests:
            log = request if isinstance(request, PredictionLog) else PredictionLog()
            if log is not request:
                log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString())
    return str(copy)


def test_warm_up_runs_before_a_version_is_available_and_can_fail_it(models, tmp_path, monkeypatch):
    base, asked, run = str(tmp_path / "base"), [], Servable.run

    def record(self, feeds, fetches):
        asked.append((self.version, next(iter(feeds.values())).tolist()))
        return run(self, feeds, fetches)

    monkeypatch.setattr(Servable, "run", record)
    good = predict_request(examples=[b"warm", b"up"])
    model_store.publish(with_warmup(models[0], tmp_path / "good", good), base)
    with PredictionServer(base, "m", port=0, poll_seconds=0.02) as server:
        assert asked == [(1, [b"warm", b"up"])]
        stubs = Stubs(server.port)
        bad = predict_request(examples=[b"fine", b""])
        model_store.publish(with_warmup(models[1], tmp_path / "bad", good, bad), base)
        wait_until(lambda: states(stubs) == [(2, "END"), (1, "AVAILABLE")])
        (two,) = (state for state in server._models["m"].states() if state.version == 2)
        assert two.error.startswith("warm-up request 1 fails: ")
        assert "[row] [1] [is empty]" in two.error
        stubs.channel.close()


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (predict_request("s"), 'Serving signature key "s" not found'),
        (predict_request(examples=np.float32([1])), "Expects arg.0. to be string"),
        (PredictionLog(classify_log={}), "only a predict_log is run here. Received: classify_log"),
    ],
)
def test_warm_up_requests_are_checked_like_any_other(models, tmp_path, request_, problem):
    base = str(tmp_path / "base")
    model_store.publish(with_warmup(models[0], tmp_path / "m", request_), base)
    with pytest.raises(UserError, match=f"does not load .warm-up request 0 fails: .*{problem}"):
        PredictionServer(base, port=0).start()


def test_damaged_warm_up_requests_fail_a_version(models, tmp_path):
    base = str(tmp_path / "base")
    source = with_warmup(models[0], tmp_path / "m", predict_request(examples=[b"x"]))
    path = tmp_path / "m" / "assets.extra" / "tf_serving_warmup_requests"
    path.write_bytes(path.read_bytes()[:-3])
    model_store.publish(source, base)
    with pytest.raises(UserError, match="warm-up request 0 fails"):
        PredictionServer(base, port=0).start()


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
    assert page == get(server, "/metrics")[1]
    for line in (
        'yt8m_requests_total{code="OK",method="Predict",model="m"} 1.0',
        'yt8m_requests_total{code="INVALID_ARGUMENT",method="Predict",model="m"} 1.0',
        'yt8m_requests_total{code="NOT_FOUND",method="Predict",model=""} 1.0',
        'yt8m_request_seconds_count{method="Predict",model="m"} 2.0',
        'yt8m_batch_videos_sum{model="m"} 3.0',
        'yt8m_queue_seconds_count{model="m"} 1.0',
        'yt8m_versions_loaded{model="m"} 1.0',
    ):
        assert re.search(f"^{re.escape(line)}$", page, re.MULTILINE), line
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


def test_limits_of_size_and_number(base, monkeypatch):
    entered, go_on = threading.Event(), threading.Event()
    run = Servable.run

    def slow_run(self, feeds, fetches):
        entered.set()
        assert go_on.wait(WAIT)
        return run(self, feeds, fetches)

    monkeypatch.setattr(Servable, "run", slow_run)
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


def test_a_request_whose_deadline_passed_in_the_queue_is_not_run(base, monkeypatch):
    entered, go_on, asked = threading.Event(), threading.Event(), []
    run = Servable.run

    def slow_run(self, feeds, fetches):
        asked.append(next(iter(feeds.values())).tolist())
        entered.set()
        assert go_on.wait(WAIT)
        return run(self, feeds, fetches)

    monkeypatch.setattr(Servable, "run", slow_run)
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
        for wrong in (None, ClientTls(ca=others.ca)):
            with pytest.raises((TryAgainError, ServingError)):
                score(server, wrong)
    mutual = ServerTls(certificate=certificate, key=key, client_ca=ours.ca)
    with PredictionServer(base, "m", port=0, options=ServerOptions(tls=mutual)) as server:
        assert score(server, ClientTls(ca=ours.ca, certificate=client_certificate, key=client_key)) == 90
        stranger = ClientTls(ca=ours.ca, certificate=stranger_certificate, key=stranger_key)
        for wrong in (ClientTls(ca=ours.ca), stranger):
            with pytest.raises((TryAgainError, ServingError)):
                score(server, wrong)


def test_wrong_certificate_files(base, tmp_path):
    missing = ServerTls(certificate=str(tmp_path / "none"), key=str(tmp_path / "none"))
    with pytest.raises(UserError, match="cannot read the PEM file"):
        PredictionServer(base, port=0, options=ServerOptions(tls=missing)).start()
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UserError, match="is not a PEM file"):
        ClientTls(ca=str(tmp_path / "text")).credentials()
    with pytest.raises(UserError, match="belong together"):
        ClientTls(certificate=str(tmp_path / "text")).credentials()
