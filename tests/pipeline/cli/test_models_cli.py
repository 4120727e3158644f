"""``yt8m models``."""

import json
import os
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from serving.server.server import PredictionServer
from serving.store import model_store
from tests.pipeline.verbs import run
from tests.serving.certificates import Authority
from tests.serving.store.model_files import write_model
from trainer.base.errors import UserError

pytest_plugins = "tests.pipeline.serving_fixtures"


@pytest.mark.parametrize("place", ["local", "gs"])
def test_models(tmp_path: Path, request: pytest.FixtureRequest, place: str) -> None:
    base = str(tmp_path / "served")
    with pytest.raises(UserError, match="no directory"):
        run("models", "list", base)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(UserError, match="is a model itself: give the directory that its versions are in"):
        run("models", "list", str(tmp_path))
    if place == "gs":
        request.getfixturevalue("gcs")
        base = "gs://bucket/served"
        with pytest.raises(UserError, match="there is no bucket nowhere"):
            run("models", "list", "gs://nowhere/served")
    card = {"gap": 0.875, "bytes": 3 * 2**20, "members": [{"variant": "K8-H256"}, {"variant": "K16-H512"}]}
    source = Path(write_model(tmp_path / "a", b"a"))
    (source / "assets.extra" / "card.json").write_text(json.dumps(card))
    model_store.publish(str(source), base)
    model_store.publish(write_model(tmp_path / "b", b"b"), base)
    assert [line.split() for line in run("models", "list", base).splitlines()] == [
        ["version", "GAP", "MiB", "state", "members"],
        ["1", "0.8750", "3.00", "whole", "K8-H256,", "K16-H512"],
        ["2", "whole", "<-", "newest"],
    ]
    assert json.loads(run("models", "list", base, "--json"))["versions"][0] == {
        "version": 1,
        "path": f"{base}/1",
        "newest": False,
        "served": None,
        "server_error": None,
        "state": "whole",
        "problem": None,
        "labels": [],
        "gap": 0.875,
        "bytes": 3 * 2**20,
        "members": ["K8-H256", "K16-H512"],
    }
    rolled = json.loads(run("models", "rollback", base, "--to", "1", "--json"))
    assert rolled == {"version": 3, "content_of": 1, "created": True}
    assert run("models", "rollback", base, "--to", "1") == (
        "version 3 is the newest already and has the content of version 1\n"
    )
    assert run("models", "delete", base, "2") == "version 2 is deleted; version 3 is the newest\n"
    with pytest.raises(UserError, match="is the newest, which servers serve"):
        run("models", "delete", base, "3")
    assert json.loads(run("models", "delete", base, "3", "--force", "--json")) == {"deleted": 3, "newest": 1}


def test_models_verify(tmp_path: Path) -> None:
    base = str(tmp_path / "served")
    for content in (b"a", b"b", b"c"):
        model_store.publish(write_model(tmp_path / content.decode(), content), base)
    graph = Path(base, "2", "saved_model.pb")
    data = bytearray(graph.read_bytes())
    data[-1] ^= 1
    graph.write_bytes(data)
    Path(base, "3", "manifest.sha256").unlink()
    states = json.loads(run("models", "list", base, "--json"))["versions"]
    assert [one["state"] for one in states] == ["whole", "damaged", "no manifest"]
    assert "saved_model.pb in" in states[1]["problem"]
    unread = json.loads(run("models", "list", base, "--no-verify", "--json"))["versions"]
    assert [one["state"] for one in unread] == [None] * 3
    assert run("models", "verify", base, "1") == "version 1: whole\n"
    with pytest.raises(UserError, match="damaged: version 2; delete it"):
        run("models", "verify", base)
    with pytest.raises(UserError, match="has no version 7: it has 1, 2, 3"):
        run("models", "verify", base, "7")


def test_models_list_asks_a_server_what_it_serves(base: str, tmp_path: Path) -> None:
    served = str(tmp_path / "served")
    for version in ("source1.0", "source2.0"):
        model_store.publish(str(Path(base).parent / version), served)
    with PredictionServer(served, "yt8m", port=0) as server:
        target = f"localhost:{server.port}"
        model_store.publish(write_model(tmp_path / "broken"), served)
        lines = run("models", "list", served, "--server", target).splitlines()
        assert [line.partition("<- ")[2].partition(":")[0] for line in lines[1:]] in (
            ["", "served", "newest"],  # it has not looked yet
            ["", "served", "newest, the server cannot load it"],
        )
        asked = ("models", "list", served, "--server", target, "--json")
        give_up = time.monotonic() + 60
        while not (answer := json.loads(run(*asked)))["versions"][2]["server_error"]:
            assert time.monotonic() < give_up
        assert [one["served"] for one in answer["versions"]] == [False, True, False]
        model_store.delete(served, 2)
        with pytest.raises(UserError, match="does not have this model"):
            run("models", "list", served, "--server", target, "--model-name", "other")


def test_a_server_without_tls_is_told_in_one_line(tmp_path: Path) -> None:
    """A process of its own, since what gRPC says by itself goes past Python's standard error."""
    base, authority = str(tmp_path / "served"), Authority(tmp_path, "ca")
    model_store.publish(write_model(tmp_path / "a", b"a"), base)
    with socketserver.TCPServer(("127.0.0.1", 0), _SpeaksNoTls) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_address[1]}"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pipeline.cli.main", "models", "list", base, "--no-verify"),
                *("--server", address, "--tls-ca", authority.ca),
            ],
            env={name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"},
            capture_output=True,
            text=True,
            check=False,
        )
        server.shutdown()
    assert done.returncode == 2
    assert done.stderr.startswith(f"yt8m: {address}: the server there does not speak TLS: leave --tls-ca out")
    assert len(done.stderr.splitlines()) == 1


class _SpeaksNoTls(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        self.request.recv(1000)
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("place", ["local", "gs"])
def test_labels(tmp_path: Path, request: pytest.FixtureRequest, place: str) -> None:
    base = str(tmp_path / "served")
    if place == "gs":
        request.getfixturevalue("gcs")
        base = "gs://bucket/served"
    for content in (b"a", b"b"):
        model_store.publish(write_model(tmp_path / content.decode(), content), base)
    assert run("models", "label", base, "stable=1", "canary=2", "old=1").splitlines() == [
        "canary -> version 2",
        "old -> version 1",
        "stable -> version 1",
        "in k8s/settings/settings.env: STABLE_VERSION=1 CANARY_VERSION=2",
    ]
    assert [line.split("<-")[1:] for line in run("models", "list", base).splitlines()[1:]] == [
        [" old, stable"],
        [" newest, canary"],
    ]
    changed = json.loads(run("models", "label", base, "stable=2", "--remove", "canary", "--json"))
    assert (
        changed == {"labels": {"old": 1, "stable": 2}} == json.loads(run("models", "label", base, "--json"))
    )
    with pytest.raises(UserError, match="has the label old"):
        run("models", "delete", base, "1")
    with pytest.raises(UserError, match="a label is NAME=VERSION"):
        run("models", "label", base, "stable=two")
    for name in ("st able", "stable;", "ä", "x-", "x" * 64, "a/b"):
        with pytest.raises(UserError, match="a label has at most 63 letters"):
            run("models", "label", base, f"{name}=1")
    with pytest.raises(UserError, match=r"label 3 would be taken for version 3: .* such as v3"):
        run("models", "label", base, "3=1")
    with pytest.raises(UserError, match="label stable is given twice"):
        run("models", "label", base, "stable=1", "stable=2")
    with pytest.raises(UserError, match="has no version 7"):
        run("models", "label", base, "stable=7")
    with pytest.raises(UserError, match="label stable is to be moved and to be removed: give one of the two"):
        run("models", "label", base, "stable=1", "--remove", "stable")


def test_the_directory_above_is_told_where_versions_are(tmp_path: Path) -> None:
    above, base = str(tmp_path / "models"), str(tmp_path / "models" / "yt8m")
    model_store.publish(write_model(tmp_path / "a", b"a"), base)
    assert run("models", "list", above) == f"{above} has no version yet; versions are in {base}\n"
    with pytest.raises(
        UserError, match=f"has no version 1: it has no version at all; versions are in {base}"
    ):
        run("models", "rollback", above, "--to", "1")
    with pytest.raises(UserError, match=f"or give another directory; versions are in {base}"):
        model_store.served_version(above)
    with pytest.raises(UserError, match="is a model itself: give the directory that its versions are in"):
        model_store.served_version(f"{base}/1")
