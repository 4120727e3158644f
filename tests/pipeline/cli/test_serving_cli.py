"""``yt8m serve`` and ``predict``."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from serving.export.saved_model import write_saved_model
from serving.export.vocabulary import Vocabulary
from serving.inference import local_predictor
from serving.server.models.model_config import ModelConfig
from serving.server.models.version_policy import VersionPolicy
from serving.server.server import PredictionServer, ServerOptions
from tests.pipeline.verbs import run
from tests.serving.export.test_saved_model import make_member
from tests.serving.store.model_files import write_model
from trainer.base.errors import UserError

pytest_plugins = "tests.pipeline.serving_fixtures"


@pytest.fixture
def vocabulary(tmp_path: Path) -> str:
    path = tmp_path / "vocabulary.csv"
    path.write_text('Index,Name\n0,"Game, the"\n1,\n')
    return str(path)


def test_predict_without_a_server(base: str, records: tuple[str, list[bytes]], vocabulary: str) -> None:
    path, ids = records
    document = json.loads(run("predict", path, "--model", base, "--vocabulary", vocabulary, "--json"))
    assert document["rejected"] == 1
    assert [video["id"].encode() for video in document["videos"]] == ids
    first = document["videos"][0]
    assert (first["frames"], first["labels"], len(first["classes"])) == (1, [5, 7], 20)
    assert [one["name"] for one in first["classes"][:3]] == ["Game, the", "class 1", "class 2"]
    # The newest version, which doubles; one version's own directory may be given as well.
    old = json.loads(run("predict", path, "--model", os.path.join(base, "1"), "--limit", "1", "--json"))
    assert first["classes"][0]["score"] == 2 * old["videos"][0]["classes"][0]["score"]
    assert len(old["videos"]) == 1


def test_predict_of_a_server_is_the_same(base: str, records: tuple[str, list[bytes]]) -> None:
    path, _ = records
    local = run("predict", path, "--model", base, "--limit", "35")
    with PredictionServer(base, "mine", port=0) as server:
        target = f"127.0.0.1:{server.port}"
        assert run("predict", path, "--target", target, "--model-name", "mine", "--limit", "35") == local
        with pytest.raises(UserError, match="does not have this model"):
            run("predict", path, "--target", target)
    lines = local.splitlines()
    assert len(lines) == 35 * 21
    assert lines[0] == "v00 (1 frame)"
    assert lines[1].split()[1:] == ["0", "class", "0"]


def test_predict_and_infer_ask_a_version(base: str, records: tuple[str, list[bytes]], tmp_path: Path) -> None:
    path, _ = records
    newest, old = (run("predict", path, "--model", base, *more) for more in ((), ("--model-version", "1")))
    assert newest != old
    assert old == run("predict", path, "--model", os.path.join(base, "1"))
    config = ModelConfig(
        name="yt8m", base_path=base, policy=VersionPolicy(everything=True), labels={"stable": 1}
    )
    with PredictionServer([config], port=0) as server:
        target = ("--target", f"127.0.0.1:{server.port}")
        for chosen in (("--model-version", "1"), ("--version-label", "stable")):
            assert run("predict", path, *target, *chosen) == old
            run("infer", "--data", path, "--out", str(tmp_path / "there.csv"), *target, *chosen)
            run("infer", "--data", path, "--out", str(tmp_path / "here.csv"), "--model", f"{base}/1")
            assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
        with pytest.raises(UserError, match=r"Specific.yt8m, 7."):
            run("predict", path, *target, "--model-version", "7")
    with pytest.raises(UserError, match="has no version 7"):
        run("predict", path, "--model", base, "--model-version", "7")
    with pytest.raises(UserError, match="not with --model or --model-version"):
        run("predict", path, "--model", base, "--version-label", "stable")


def test_predict_shows_the_models_own_names(
    records: tuple[str, list[bytes]], vocabulary: str, tmp_path: Path
) -> None:
    path, _ = records
    model = str(tmp_path / "model")
    write_saved_model(model, [make_member("K2-H3", 1)], vocabulary=Vocabulary({3: "Vehicle"}))
    asked = ("predict", path, "--model", model, "--limit", "1", "--json")
    names, given = (
        {one["class"]: one["name"] for one in json.loads(run(*asked, *more))["videos"][0]["classes"]}
        for more in ((), ("--vocabulary", vocabulary))
    )
    assert len(names) == 20
    assert names == {index: "Vehicle" if index == 3 else f"class {index}" for index in names}
    assert given == {index: "Game, the" if index == 0 else f"class {index}" for index in names}


def test_predict_looks_at_the_files_before_it_loads_a_model(
    base: str, records: tuple[str, list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_predictor, "Servable", None)  # would fail with a TypeError
    with pytest.raises(UserError, match=r"cannot read .*none"):
        run("predict", str(tmp_path / "none"), "--model", base)
    with pytest.raises(UserError, match="no valid video with the id none"):
        run("predict", records[0], "--model", base, "--id", "none")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe is a directory, a pipe or a device"):
        run("predict", str(tmp_path / "pipe"), "--model", base)


@pytest.mark.parametrize(("given", "request_mib"), [((), 256), (("--max-mib-at-once", "64"), 64)])
def test_a_request_that_would_never_be_taken_is_too_large(
    base: str, given: tuple[str, ...], request_mib: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def server(*_: object, options: ServerOptions, **__: object) -> None:
        found.append(options)
        raise UserError("enough")

    monkeypatch.setattr("serving.server.server.PredictionServer", server)
    with pytest.raises(UserError, match="enough"):
        run("serve", base, "--port", "0", *given)
    assert found[0].max_request_bytes == request_mib * 2**20


def test_predict_one_video(base: str, records: tuple[str, list[bytes]]) -> None:
    path, _ = records
    assert run("predict", path, "--model", base, "--id", "v39").splitlines()[0] == "v39 (1 frame)"
    with pytest.raises(UserError, match="no valid video with the id none"):
        run("predict", path, "--model", base, "--id", "none")


def test_predict_says_what_is_wrong(base: str, records: tuple[str, list[bytes]], tmp_path: Path) -> None:
    path, _ = records
    with pytest.raises(UserError, match="give one of the three"):
        run("predict", path, "--model", base, "--target", "localhost:1")
    with pytest.raises(UserError, match="has no model"):
        run("predict", path, "--model", str(tmp_path))
    with pytest.raises(UserError, match=r"variables\.index: it is damaged"):
        run("predict", path, "--model", write_model(tmp_path / "broken"))
    with pytest.raises(UserError, match=r"cannot read .*none"):
        run("predict", str(tmp_path / "none"), "--model", base)
    other = tf.Module()
    other.f = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    tf.saved_model.save(other, str(tmp_path / "other"), signatures=other.f)
    with pytest.raises(UserError, match="not a YT-8M model"):
        run("predict", path, "--model", str(tmp_path / "other"))


def test_listing_and_help_need_no_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; from pipeline.cli.main import app\n"
        "for verb in ('serve', 'predict', 'infer'):\n"
        "    app([verb, '--help'], standalone_mode=False)\n"
        "app(['models', 'list', sys.argv[1]], standalone_mode=False)\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_serve_prints_its_address_answers_and_leaves_with_zero(
    base: str, records: tuple[str, list[bytes]]
) -> None:
    path, _ = records
    serve = [sys.executable, "-m", "pipeline.cli.main", "serve", base, "--port", "0"]
    serve += ["--max-batch-size", "16", "--http-port", "0", "--versions", "all", "--label", "old=1"]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            target = process.stdout.readline().strip()
            assert len(run("predict", path, "--target", target, "--limit", "1").splitlines()) == 21
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "")
    assert "finishing the requests" in err
    assert "REST, metrics and health at http://127.0.0.1:" in err
    assert "Traceback" not in err


def test_serve_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", "serve", str(tmp_path)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "has no model to serve" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "give the directory of one model"),
        (["{base}", "--model-config-file", "x"], "give the directory of one model"),
        (["--model-config-file", "{base}/none"], "cannot read the model configuration"),
        (["{base}", "--tls-key", "x"], "TLS needs --tls-certificate and --tls-key"),
        (["{base}", "--allow-reload"], "--allow-reload needs --tls-client-ca"),
        (["{base}", "--otlp-endpoint", "localhost:4318"], "is a URL such as http://localhost:4318"),
        (["{base}", "--model-name", ""], "--model-name ''"),
        (["{base}", "--model-name", "a/b"], "--model-name 'a/b'"),
        (["{base}", "--versions", "newest"], "versions are latest"),
        (["{base}", "--label", "stable"], "a label is NAME=VERSION"),
        (["{base}", "--label", "stable=1"], "points to version 1, which is not served; served: 2"),
        (["{base}", "--versions", "7"], "has no version 7: it has 1, 2"),
        (["{base}", "--host", "0.0.0.0:80"], "is not an address to listen at"),
        (["{base}", "--host", "192.0.2.1"], "this machine does not have that address"),
        (["{base}", "--http-port", "{taken}"], "cannot listen at 127.0.0.1:{taken}: the port is taken"),
        (["{base}", "--tls-certificate", "{none}", "--tls-key", "{none}"], "cannot read the PEM file"),
    ],
)
def test_serve_refuses_options_that_do_not_fit_before_it_loads_anything(
    base: str, arguments: list[str], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PredictionServer, "__init__", None)  # would fail with a TypeError
    with socket.create_server(("127.0.0.1", 0)) as taken:
        values = {"base": base, "taken": taken.getsockname()[1], "none": str(tmp_path / "none")}
        with pytest.raises(UserError, match=problem.format(**values)):
            run("serve", *(argument.format(**values) for argument in arguments), "--port", "0")


def test_serve_checks_its_arguments_without_tensorflow(base: str) -> None:
    code = (
        "import sys; from pipeline.cli.main import app\n"
        "try:\n"
        "    app(['serve', sys.argv[1], '--label', 'stable=7'], standalone_mode=False)\n"
        "except Exception as error:\n"
        "    assert 'which is not served' in str(error), error\n"
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, base], check=True)


def test_predict_without_a_server_running_is_one_line_and_exit_code_2(
    records: tuple[str, list[bytes]],
) -> None:
    path, _ = records
    for target, problem in (
        (
            "127.0.0.1:1",
            "no server answers there: start one (yt8m serve DIRECTORY), or correct the address HOST:PORT; yt8m predict",
        ),
        ("localhost:99999", "a port is a number from 1 to 65535"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli.main", "predict", path, "--target", target, "--limit", "1"],
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert len(done.stderr.splitlines()) == 1
        assert problem in done.stderr
