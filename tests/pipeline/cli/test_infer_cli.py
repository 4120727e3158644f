"""``yt8m infer``, with and without Beam."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.cli.predictions.infer import progress_text
from serving.base.tls import ServerTls
from serving.inference.batch_inference import Progress
from serving.server.server import PredictionServer, ServerOptions
from tests.pipeline.verbs import run
from tests.serving.certificates import Authority
from trainer.base.errors import UserError

pytest_plugins = "tests.pipeline.serving_fixtures"


def test_infer_writes_what_predict_says(base: str, records: tuple[str, list[bytes]], tmp_path: Path) -> None:
    path, ids = records
    out = str(tmp_path / "s.csv")
    said = run("infer", "--model", base, "--data", path, "--out", out)
    assert said.startswith(f"{out}: 40 videos of 1 files in ")
    assert f"1 records left out (1 not_an_example): see {out}.rejects.jsonl" in said
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
    with pytest.raises(UserError, match="give --model, a directory, or --target, a server, not both"):
        run("infer", "--model", "m", "--target", "localhost:1", "--data", records[0], "--out", "x.csv")
    with pytest.raises(UserError, match="give --model"):
        run("infer", "--data", path, "--out", "s.csv")
    with pytest.raises(UserError, match="no file matches"):
        run("infer", "--model", base, "--data", str(tmp_path / "*"), "--out", "s.csv")
    with pytest.raises(UserError, match=r"written as .csv or .parquet"):
        run("infer", "--model", base, "--data", path, "--out", "s.txt")
    (tmp_path / "s.csv").mkdir()
    with pytest.raises(UserError, match=r"s\.csv is a directory: give the path of a file"):
        run("infer", "--model", base, "--data", path, "--out", str(tmp_path / "s.csv"))
    (tmp_path / "t.csv").symlink_to("nowhere/t.csv")
    with pytest.raises(UserError, match=r"t\.csv is a link to nowhere/t\.csv, which leads nowhere"):
        run("infer", "--model", base, "--data", path, "--out", str(tmp_path / "t.csv"))
    with pytest.raises(UserError, match="--out: /proc/none cannot be written to"):
        run("infer", "--model", base, "--data", path, "--out", "/proc/none/s.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s.csv", "t.csv"]


def test_a_link_in_the_place_of_the_output_stays_one(
    base: str, records: tuple[str, list[bytes]], tmp_path: Path
) -> None:
    path, _ = records
    (tmp_path / "big").mkdir()
    (tmp_path / "s.csv").symlink_to("big/s.csv")
    run("infer", "--model", base, "--data", path, "--out", str(tmp_path / "s.csv"))
    assert (tmp_path / "s.csv").is_symlink()
    assert (tmp_path / "big/s.csv").is_file()


@pytest.mark.slow
def test_infer_by_beam_writes_the_same(base: str, records: tuple[str, list[bytes]], tmp_path: Path) -> None:
    path, _ = records
    here, there = str(tmp_path / "here.csv"), str(tmp_path / "there.csv")
    arguments = ["infer", "--model", base, "--data", path, "--model-version", "1", "--out"]
    run(*arguments, here)
    beam = ["--beam", "runner=DirectRunner", "--beam", "workers=1"]
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", *arguments, there, *beam], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{there}: 40 videos of 1 files in ")
    assert "Traceback" not in done.stderr
    for suffix in ("", ".rejects.jsonl"):
        assert Path(here + suffix).read_bytes() == Path(there + suffix).read_bytes()


DATAFLOW = ["runner=DataflowRunner", "project=p", "region=r", "temp_location=gs://bkt/tmp"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (["workers"], "--beam takes KEY=VALUE, for example runner=DirectRunner. Received: 'workers'"),
        (["worker=1"], "--beam: worker: unknown key, did you mean workers?"),
        (["workers=some"], "--beam: workers: must be a whole number. Received: 'some'"),
        (DATAFLOW[:1], "--beam: runner DataflowRunner needs project, region, temp_location"),
        (DATAFLOW, "DataflowRunner's workers need an image that holds this project"),
        ([*DATAFLOW, "worker_image=i:1"], "Dataflow's workers read and write gs:// only, not "),
    ],
)
def test_what_beam_would_fail_at_is_said_at_once(
    base: str, records: tuple[str, list[bytes]], tmp_path: Path, settings: list[str], problem: str
) -> None:
    options = [word for setting in settings for word in ("--beam", setting)]
    out = str(tmp_path / "s.csv")
    with pytest.raises(UserError) as raised:
        run("infer", "--model", base, "--data", records[0], "--out", out, *options)
    assert problem in str(raised.value)
    with pytest.raises(UserError, match="every worker loads the model"):
        run("infer", "--target", "localhost:1", "--data", records[0], "--out", out, *options)


@pytest.mark.parametrize(
    ("left", "text"), [(None, "1,200 videos, 60.0 a second, 25%"), (3723.4, "25%, 1:02:03 left")]
)
def test_progress_is_said_with_speed_share_and_time_left(left: float | None, text: str) -> None:
    progress = Progress(videos=1200, per_second=60.0, share=0.25, seconds_left=left)
    assert progress_text(progress).endswith(text)
