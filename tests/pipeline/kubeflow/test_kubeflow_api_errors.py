"""How the verbs end when the cluster does not do what it is asked, and what they tell it of who asks."""

import json
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.kubeflow.cluster.target import IN_CLUSTER, Target
from tests.serving.certificates import Authority
from trainer.base.errors import UserError

RUNS = "GET /apis/v2beta1/runs$"


def cluster_error() -> type[Exception]:
    from pipeline.kubeflow.cluster.api_errors import ClusterError

    return ClusterError


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "refuses that \\(400\\): the reason"),
        (401, "does not know who asks \\(401\\); give --token-file.*: the reason"),
        (403, "does not allow this \\(403\\).*: the reason"),
        (404, "there is no such thing \\(404\\); check what was named, and that --host is .*: the reason"),
        (409, "it exists already \\(409\\): the reason"),
        (412, "refuses that \\(412\\): the reason"),
    ],
)
def test_a_refusal_is_the_users(cluster, yt8m, status, reason) -> None:
    cluster.fail(RUNS, status)
    with pytest.raises(UserError, match=reason):
        yt8m("runs")
    assert cluster.lines("GET")[1:] == ["GET /apis/v2beta1/runs"]


@pytest.mark.parametrize(("status", "asked"), [(429, 1), (500, 1), (502, 4), (503, 4), (504, 4)])
def test_a_fault_is_the_clusters_and_questions_are_put_again(cluster, yt8m, status, asked) -> None:
    cluster.fail(RUNS, status)
    with pytest.raises(cluster_error(), match=f"{status} .*: the reason; try again later"):
        yt8m("runs")
    assert cluster.lines("GET")[1:] == ["GET /apis/v2beta1/runs"] * asked


def test_a_command_is_never_given_twice(cluster, yt8m, file) -> None:
    cluster.fail("POST /apis/v2beta1/runs", 503)
    with pytest.raises(cluster_error(), match="503"):
        yt8m("submit", file)
    assert cluster.lines().count("POST /apis/v2beta1/runs") == 1


def test_silence_is_not_waited_out(cluster, yt8m, file) -> None:
    cluster.delays["POST /apis/v2beta1/runs"] = 2
    with pytest.raises(cluster_error(), match="did not answer in time; see yt8m runs"):
        yt8m("submit", file, "--timeout", 1)
    assert cluster.lines().count("POST /apis/v2beta1/runs") == 1


def test_no_such_api_there(cluster, yt8m) -> None:
    cluster.failures[RUNS] = (404, "nothing", "text/plain")
    with pytest.raises(UserError, match="no API of Kubeflow Pipelines is there"):
        yt8m("runs")


def test_a_sign_in_page_is_no_answer(cluster, yt8m) -> None:
    cluster.failures[RUNS] = (200, "<html>Sign in</html>", "text/html; charset=utf-8")
    with pytest.raises(UserError, match=r"answers with a web page.*--iap-client-id"):
        yt8m("runs")


def test_half_an_answer_is_no_empty_list(cluster, yt8m) -> None:
    cluster.failures[RUNS] = (200, '{"runs": [{"run_id"', "application/json")
    with pytest.raises(UserError, match="answers with something that is no JSON"):
        yt8m("runs")


@pytest.mark.parametrize(
    ("question", "answer"),
    [(RUNS, "null"), (RUNS, '"ok"'), (RUNS, "[]"), ("GET /apis/v2beta1/healthz", "null")],
)
def test_an_answer_that_is_no_object_is_none_of_this_api(cluster, yt8m, question, answer) -> None:
    cluster.failures[question] = (200, answer, "application/json")
    with pytest.raises(UserError, match="answers with something that is no JSON"):
        yt8m("runs")


def test_an_answer_that_is_no_text_is_none_of_this_api(monkeypatch) -> None:
    from kfp_server_api.rest import RESTClientObject

    from pipeline.kubeflow.cluster import api_client

    def request(*_: object, **__: object) -> None:
        bytes([128]).decode()

    monkeypatch.setattr(RESTClientObject, "request", request)
    rest = object.__new__(api_client._Rest)
    rest._timeout = 1
    with pytest.raises(api_client.NoJsonError):
        rest.request("GET", "http://x")


def test_another_api_is_no_fault_of_the_program(cluster, yt8m, file) -> None:
    cluster.failures["POST /apis/v2beta1/pipelines"] = (200, '{"a": [1]}', "application/json")
    with pytest.raises(
        UserError, match=r"answers otherwise than the API of Kubeflow Pipelines.*check --host"
    ):
        yt8m("submit", file)


@pytest.mark.parametrize(
    ("content", "problem"), [(b"\n", "it is empty"), (b"\xff", "it holds more"), (b"a\nb", "it holds more")]
)
def test_what_is_no_token_is_not_sent(cluster, yt8m, tmp_path, content, problem) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(UserError, match=f"--token-file .*token: {problem}"):
        yt8m("runs", "--token-file", tmp_path / "token")
    assert not cluster.requests


@pytest.mark.parametrize("content", ["hello", "-----BEGIN CERTIFICATE-----\nhalf of it", "KEY"])
def test_a_file_without_the_certificate_of_an_authority_is_named(tmp_path, content) -> None:
    key = Path(Authority(tmp_path, "one").issue("two")[1])
    path = tmp_path / "ca.pem"
    path.write_text(key.read_text() if content == "KEY" else content)
    with pytest.raises(UserError) as raised:
        Target(host="https://localhost", ca_file=str(path))
    assert str(raised.value) == (
        f"--ca-file {path}: no certificate in it that can be read; give the PEM file of the authority"
    )


def test_a_refused_connection_is_the_address(monkeypatch) -> None:
    from pipeline.kubeflow.cluster import api_client
    from pipeline.kubeflow.cluster.api_client import connected

    monkeypatch.setattr(api_client, "_RETRY_BACKOFF_SECONDS", 0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        pytest.raises(UserError, match=r"cannot be reached: .*Connection refused"),
        connected(Target(host=f"http://127.0.0.1:{port}")),
    ):
        pass


def test_http_to_a_port_that_speaks_tls_is_the_address(cluster, tmp_path) -> None:
    """Some servers answer a request in the clear with a reset, which alone would be the cluster's fault."""
    from pipeline.kubeflow.cluster.api_client import connected
    from tests.serving.certificates import Authority

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority(tmp_path, "authority").issue("server"))
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):  # at the end of the block
                while True:
                    plain, _ = server.accept()
                    with plain, suppress(ssl.SSLError), context.wrap_socket(plain, server_side=True):
                        pass

        threading.Thread(target=serve, daemon=True).start()
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(UserError, match=r"speaks TLS; give a URL with https://"),
            connected(Target(host=address)),
        ):
            pass


def test_https_to_a_port_that_speaks_no_tls_is_the_address(cluster, yt8m) -> None:
    cluster.url = cluster.url.replace("http:", "https:")
    with pytest.raises(UserError, match=r"does not speak TLS; give a URL with http://"):
        yt8m("runs")


def test_broken_connection_is_the_clusters(cluster, yt8m, monkeypatch) -> None:
    monkeypatch.setattr(type(cluster), "answer", lambda *_: 1 / 0)  # the handler's thread ends without a word
    with pytest.raises(cluster_error(), match="the connection broke"):
        yt8m("runs")


def test_the_token_is_read_anew_for_every_request_and_goes_first(
    cluster, yt8m, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("KF_PIPELINES_IAP_OAUTH2_CLIENT_ID", "some-client")
    token = tmp_path / "token"
    token.write_text("first\n")
    answer = type(cluster).answer

    def renew(self, request):
        token.write_text("second\n")
        return answer(self, request)

    monkeypatch.setattr(type(cluster), "answer", renew)
    yt8m("runs", "--token-file", token)
    sent = [request.headers["authorization"] for request in cluster.requests]
    assert sent == ["Bearer first", "Bearer second"]


def test_iap_asks_google_for_the_clients_token(cluster, yt8m, monkeypatch) -> None:
    from kfp.client import auth

    monkeypatch.setattr(auth, "get_auth_token", lambda client, *_: (f"token-of-{client}", False))
    yt8m("runs", "--iap-client-id", "some-client")
    assert {request.headers["authorization"] for request in cluster.requests} == {
        "Bearer token-of-some-client"
    }


def test_missing_google_credentials_are_a_line(cluster, yt8m, monkeypatch) -> None:
    from google.auth import exceptions
    from kfp.client import auth

    def none(*_):
        raise exceptions.DefaultCredentialsError("no credentials here")

    monkeypatch.setattr(auth, "get_auth_token", none)
    with pytest.raises(UserError, match="no credentials here; gcloud auth application-default login"):
        yt8m("runs", "--iap-client-id", "some-client")


def test_in_a_pod_the_service_and_its_token_are_found(monkeypatch, tmp_path, cluster) -> None:
    import kubernetes

    from pipeline.kubeflow.cluster import api_client
    from pipeline.kubeflow.cluster.api_client import connected

    token = tmp_path / "token"
    token.write_text("of-the-pod")
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(token))
    monkeypatch.setattr(kubernetes.config, "load_incluster_config", lambda: None)
    monkeypatch.setattr(api_client.Client, "_IN_CLUSTER_DNS_NAME", cluster.url)
    with connected(Target(host=IN_CLUSTER)) as client:
        client.list_runs()
    assert [request.headers["authorization"] for request in cluster.requests] == ["Bearer of-the-pod"] * 2


def test_outside_of_a_cluster_in_cluster_is_refused(cluster, monkeypatch, tmp_path) -> None:
    from pipeline.kubeflow.cluster.api_client import connected

    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(UserError, match="this is no pod"), connected(Target(host=IN_CLUSTER)):
        pass


def test_nothing_is_written_into_the_users_home_nor_beside_the_answer(cluster, yt8m, file, tmp_path) -> None:
    cluster.multi_user = True
    json.loads(yt8m("submit", file, "--json"))
    assert not (tmp_path / "kfp").exists()


def test_a_refusal_is_one_line_and_exit_code_2(cluster) -> None:
    cluster.fail(RUNS, 401)
    command = [sys.executable, "-m", "pipeline.cli.main", "runs", "--host", cluster.url, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr


def test_where_kubectl_has_no_configuration_one_line_says_so(tmp_path, monkeypatch, capsys) -> None:
    """kfp.Client prints a line of its own before it raises."""
    from kubernetes.config import kube_config

    from pipeline.kubeflow.cluster.api_client import connected

    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with (
        pytest.raises(UserError, match="this is no pod, and kubectl has no"),
        connected(Target(host=IN_CLUSTER)),
    ):
        pass
    assert capsys.readouterr() == ("", "")
