"""A client gives the server other models, where it may."""

import grpc
import pytest
from google.protobuf import text_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from serving.base.tls import ClientTls, ServerTls
from serving.client.client import PredictClient
from serving.server.models.servable import Servable
from serving.server.server import PredictionServer, ServerOptions
from serving.server.server_metrics import samples
from tests.serving.api import WAIT, Stubs
from tests.serving.certificates import Authority
from trainer.base.errors import UserError


@pytest.fixture
def asked(base, tmp_path):
    """A server of `m`, the function that sends it a configuration, and the one that predicts."""
    authority = Authority(tmp_path, "ours")
    certificate, key = authority.issue("server")
    client_certificate, client_key = authority.issue("client")
    tls = ServerTls(certificate=certificate, key=key, client_ca=authority.ca)
    client_tls = ClientTls(ca=authority.ca, certificate=client_certificate, key=client_key)
    options = ServerOptions(tls=tls, allow_reload=True)
    with PredictionServer(base, "m", port=0, options=options) as server:
        target = f"127.0.0.1:{server.port}"
        with grpc.secure_channel(target, client_tls.credentials()) as channel:

            def reload(text):
                request = model_management_pb2.ReloadConfigRequest()
                text_format.Parse(text, request.config)
                stub = model_service_pb2_grpc.ModelServiceStub(channel)
                return stub.HandleReloadConfigRequest(request, timeout=WAIT)

            def score(model, **choice):
                with PredictClient(target, model, 30, client_tls, **choice) as client:
                    return client.predict([b"x"])[1][0, 0]

            def health(service):
                stub = health_pb2_grpc.HealthStub(channel)
                try:
                    return stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=WAIT).status
                except grpc.RpcError as error:
                    return error.code()

            yield server, reload, score, health


def entry(name, base, rest=""):
    return f"config {{ name: '{name}' base_path: '{base}' {rest} }}"


def test_versions_labels_and_models_change(base, asked, monkeypatch):
    server, reload, score, health = asked
    assert score("m") == 90
    loads, load = [], Servable.__init__

    def counted(self, directory, name, version, threads=0):
        loads.append((name, version))
        load(self, directory, name, version, threads)

    monkeypatch.setattr(Servable, "__init__", counted)
    policy = "model_version_policy { specific { versions: [1, 3] } }"
    labels = "version_labels { key: 'old' value: 1 }"
    response = reload(f"model_config_list {{ {entry('m', base, policy + labels)} }}")
    assert response.status.error_code == 0
    assert loads == [("m", 1)]  # 3 is not loaded again
    assert (score("m", version=1), score("m", version_label="old"), score("m")) == (30, 30, 90)
    reload(f"model_config_list {{ {entry('n', base)} }}")
    assert score("n") == 90
    with pytest.raises(UserError, match="does not have this model"):
        score("m")
    assert (health("n"), health("m")) == (1, grpc.StatusCode.NOT_FOUND)
    for metric in ("yt8m_versions_loaded", "yt8m_requests_total"):
        page = {labels["model"] for labels, _ in samples(server.metrics.registry, metric)}
        assert "n" in page
        assert "m" not in page  # though somebody has asked for it since


WRONG = (
    ("", "Only ModelConfigList is currently supported"),
    ("model_config_list {}", "the request has no model"),
    ("model_config_list { config { name: 'n' } }", "needs a name and a base_path"),
    ("model_config_list { config { name: 'n' base_path: '/none' } }", "/none does not exist: it needs"),
    (
        "model_config_list { config { name: 'm' base_path: 'BASE' version_labels { key: 'a' value: 1 } } }",
        "points to version 1, which is not served",
    ),
    (
        "model_config_list { config { name: 'n' base_path: 'BASE' } config { name: 'm' base_path: 'BASE' "
        "model_version_policy { specific { versions: 7 } } } }",
        "has no version 7",
    ),
)


def test_what_cannot_be_served_changes_nothing(base, asked):
    _, reload, score, _ = asked
    for config, problem in WRONG:
        with pytest.raises(grpc.RpcError, match=problem) as raised:
            reload(config.replace("BASE", base))
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert score("m") == 90


def test_a_version_that_does_not_load_leaves_all_as_it_was(base, asked, monkeypatch):
    server, reload, score, _ = asked
    load = Servable.__init__

    def torn(self, directory, name, version, threads=0):
        if (name, version) in (("m", 1), ("n", 3)):
            raise OSError("torn")
        load(self, directory, name, version, threads)

    monkeypatch.setattr(Servable, "__init__", torn)
    policy = "model_version_policy { specific { versions: 1 } }"
    for config, problem in (
        (
            f"{entry('o', base)} {entry('m', base, policy)}",
            "no version of model m that is to be served loads",
        ),
        (f"{entry('m', base, policy.replace('1', '2'))} {entry('n', base)}", "does not load .torn."),
        (f"{entry('o', base)} {entry('m', f'{base}/.', policy)}", "does not load .torn."),
    ):
        with pytest.raises(grpc.RpcError, match=problem):
            reload(f"model_config_list {{ {config} }}")
        assert score("m") == 90
        assert score("m", version=3) == 90
        loaded = samples(server.metrics.registry, "yt8m_versions_loaded")
        assert {labels["model"]: count for labels, count in loaded} == {"m": 1}
        for other in ("n", "o"):
            with pytest.raises(UserError, match="does not have this model"):
                score(other)


def test_it_is_off_by_default_and_needs_mutual_tls(server, base, tmp_path):
    stubs = Stubs(server.port)
    with pytest.raises(grpc.RpcError) as raised:
        stubs.model.HandleReloadConfigRequest(model_management_pb2.ReloadConfigRequest(), timeout=WAIT)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    stubs.channel.close()
    certificate, key = Authority(tmp_path, "ours").issue("server")
    for tls in (None, ServerTls(certificate=certificate, key=key)):
        with pytest.raises(UserError, match="needs mutual TLS"):
            PredictionServer(base, port=0, options=ServerOptions(allow_reload=True, tls=tls)).start()
