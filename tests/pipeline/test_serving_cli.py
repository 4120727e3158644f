"""``yt8m serve``, ``predict`` and ``models``."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from pipeline.cli.infer import progress_text
from pipeline.cli.main import app
from serving import model_store
from serving.batch_inference import Progress
from serving.server import PredictionServer, ServerOptions
from serving.tls import ServerTls
from tests.records import random_example
from tests.serving.certificates import Authority
from tests.serving.test_model_store import write_model
from tests.serving.tiny_model import write_tiny_model
from trainer.errors import UserError


def run(*arguments: str) -> str:
    """Standard output of a verb; its exception is raised."""
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two served versions, of which the second scores twice as much."""
    directory = tmp_path_factory.mktemp("models")
    for factor in (1.0, 2.0):
        source = write_tiny_model(str(directory / f"source{factor}"), factor)
        model_store.publish(source, str(directory / "served"))
    return str(directory / "served")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[bytes]]:
    """A file of 40 videos with a bad record among them, and the videos as they stand there."""
    path = str(tmp_path_factory.mktemp("data") / "shard.tfrecord")
    generator = np.random.default_rng(0)
    with tf.io.TFRecordWriter(path) as writer:
        for number in range(40):
            writer.write(random_example(generator, 1 + number % 3, (5, 7), b"v%02d" % number))
            if number == 3:
                writer.write(b"no record")
    return path, [f"v{number:02d}".encode() for number in range(40)]


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


def test_predict_one_video(base: str, records: tuple[str, list[bytes]]) -> None:
    path, _ = records
    assert run("predict", path, "--model", base, "--id", "v39").splitlines()[0] == "v39 (1 frame)"
    with pytest.raises(UserError, match="no valid video with the id none"):
        run("predict", path, "--model", base, "--id", "none")


def test_predict_says_what_is_wrong(base: str, records: tuple[str, list[bytes]], tmp_path: Path) -> None:
    path, _ = records
    with pytest.raises(UserError, match="give one of them"):
        run("predict", path, "--model", base, "--target", "localhost:1")
    with pytest.raises(UserError, match="has no model"):
        run("predict", path, "--model", str(tmp_path))
    with pytest.raises(UserError, match="does not load"):
        run("predict", path, "--model", write_model(tmp_path / "broken"))
    with pytest.raises(UserError, match=r"cannot read .*none"):
        run("predict", str(tmp_path / "none"), "--model", base)
    other = tf.Module()
    other.f = tf.function(lambda x: {"y": x}, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    tf.saved_model.save(other, str(tmp_path / "other"), signatures=other.f)
    with pytest.raises(UserError, match="not a YT-8M model"):
        run("predict", path, "--model", str(tmp_path / "other"))


@pytest.mark.parametrize("place", ["local", "gs"])
def test_models(tmp_path: Path, request: pytest.FixtureRequest, place: str) -> None:
    base = str(tmp_path / "served")
    with pytest.raises(UserError, match="no directory"):
        run("models", "list", base)
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
        ["version", "GAP", "MiB", "members"],
        ["1", "0.8750", "3.00", "K8-H256,", "K16-H512"],
        ["2", "<-", "served"],
    ]
    assert json.loads(run("models", "list", base, "--json"))["versions"][0] == {
        "version": 1,
        "path": f"{base}/1",
        "served": False,
        "labels": [],
        "gap": 0.875,
        "bytes": 3 * 2**20,
        "members": ["K8-H256", "K16-H512"],
    }
    rolled = json.loads(run("models", "rollback", base, "--to", "1", "--json"))
    assert rolled == {"version": 3, "content_of": 1, "created": True}
    assert run("models", "rollback", base, "--to", "1") == (
        "version 3 is served already and has the content of version 1\n"
    )
    assert run("models", "delete", base, "2") == "version 2 is deleted; version 3 is served\n"
    with pytest.raises(UserError, match="being served"):
        run("models", "delete", base, "3")
    assert json.loads(run("models", "delete", base, "3", "--force", "--json")) == {"deleted": 3, "served": 1}


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
        [" served, canary"],
    ]
    changed = json.loads(run("models", "label", base, "stable=2", "--remove", "canary", "--json"))
    assert (
        changed == {"labels": {"old": 1, "stable": 2}} == json.loads(run("models", "label", base, "--json"))
    )
    with pytest.raises(UserError, match="has the label old"):
        run("models", "delete", base, "1")
    with pytest.raises(UserError, match="a label is NAME=VERSION"):
        run("models", "label", base, "stable=two")
    with pytest.raises(UserError, match="has no version 7"):
        run("models", "label", base, "stable=7")


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
    assert "metrics and health at http://127.0.0.1:" in err
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
        (["{base}", "--versions", "newest"], "versions are latest"),
        (["{base}", "--label", "stable"], "a label is NAME=VERSION"),
        (["{base}", "--label", "stable=1"], "points to version 1, which is not served; served: 2"),
    ],
)
def test_serve_refuses_options_that_do_not_fit(base: str, arguments: list[str], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        run("serve", *(argument.format(base=base) for argument in arguments), "--port", "0")


def test_infer_writes_what_predict_says(base: str, records: tuple[str, list[bytes]], tmp_path: Path) -> None:
    path, ids = records
    out = str(tmp_path / "s.csv")
    said = run("infer", "--model", base, "--data", path, "--out", out)
    assert said.startswith(f"{out}: 40 videos of 1 files in ")
    assert f"1 records are no valid video: see {out}.rejects.jsonl" in said
    header, *lines = (tmp_path / "s.csv").read_text().splitlines()
    assert header == "VideoId,LabelConfidencePairs"
    assert [line.split(",")[0].encode() for line in lines] == ids
    first = json.loads(run("predict", path, "--model", base, "--limit", "1", "--json"))["videos"][0]
    pairs = lines[0].split(",")[1].split()
    assert [int(index) for index in pairs[::2]] == [one["class"] for one in first["classes"]]
    np.testing.assert_allclose(
        [float(score) for score in pairs[1::2]], [one["score"] for one in first["classes"]]
    )
    authority = Authority(tmp_path, "ca")
    certificate, key = authority.issue("server")
    options = ServerOptions(tls=ServerTls(certificate=certificate, key=key, client_ca=authority.ca))
    tls = ["--tls-ca", authority.ca, "--tls-certificate", certificate, "--tls-key", key]
    with PredictionServer(base, port=0, options=options) as server:
        target = ["--target", f"127.0.0.1:{server.port}", *tls]
        other = str(tmp_path / "t.csv")
        done = json.loads(
            run("infer", *target, "--data", path, "--out", other, "--batch-size", "7", "--json")
        )
        assert (done["videos"], done["rejected"]) == (40, 1)
        assert Path(other).read_bytes() == Path(out).read_bytes()
        many = run("predict", path, path, *target, "--batch-size", "3", "--concurrency", "3")
    assert many == 2 * run("predict", path, "--model", base)


def test_infer_says_what_is_wrong(base: str, records: tuple[str, list[bytes]], tmp_path: Path) -> None:
    path, _ = records
    with pytest.raises(UserError, match="give --model"):
        run("infer", "--data", path, "--out", "s.csv")
    with pytest.raises(UserError, match="no file matches"):
        run("infer", "--model", base, "--data", str(tmp_path / "*"), "--out", "s.csv")
    with pytest.raises(UserError, match=r"written as .csv or .parquet"):
        run("infer", "--model", base, "--data", path, "--out", "s.txt")


@pytest.mark.parametrize(
    ("left", "text"), [(None, "1,200 videos, 60.0 a second, 25%"), (3723.4, "25%, 1:02:03 left")]
)
def test_progress_is_said_with_speed_share_and_time_left(left: float | None, text: str) -> None:
    progress = Progress(videos=1200, per_second=60.0, share=0.25, seconds_left=left)
    assert progress_text(progress).endswith(text)
