import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from pipeline.cli.training.data import app
from tests.records import random_example
from trainer.base.errors import UserError
from trainer.base.files import expand
from trainer.data.tfrecord import write_tfrecords

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "yt8m_video_level_2018"


def invoke(*arguments: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(app, arguments)
    return result.stdout, result.exception


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    output, error = invoke(
        "sample", str(tmp_path / "s"), "--train-videos=5", "--validate-videos=3", "--shards=2", "--json"
    )
    assert error is None
    assert json.loads(output)["files"] == sorted(json.loads(output)["files"])
    return tmp_path / "s"


def test_sample_writes_what_check_accepts(sample: Path) -> None:
    output, error = invoke("check", f"{sample}/train*", f"{sample}/validate*", "--json")
    assert error is None
    found = json.loads(output)
    assert (found["files"], found["videos"]) == (4, 8)
    assert (found["rejected_videos"], found["share"], found["first_rejects"]) == (0, 0.0, [])
    assert 8 * 4 <= found["frames"] <= 8 * 16
    assert found["labels"] >= 8


def test_check_names_the_bad_and_fails_above_the_share(sample: Path) -> None:
    bad = str(sample / "train0009.tfrecord")
    write_tfrecords(bad, [b""] * 5)
    output, error = invoke("check", f"{sample}/train*", f"{sample}/validate*", "--json")
    assert isinstance(error, UserError)
    assert "5 of 13 videos (38.46%)" in str(error)
    found = json.loads(output)
    assert found["rejected"] == {"not_an_example": 5}
    assert [(reject["file"], reject["offset"]) for reject in found["first_rejects"]] == [
        (bad, 0),
        (bad, 16),
        (bad, 32),
    ]
    output, error = invoke("check", f"{sample}/*", "--max-reject-share=0.5")
    assert error is None
    assert "not_an_example: 5" in output
    assert f"{bad} at byte 16" in output


def test_check_in_several_processes_finds_the_same(sample: Path) -> None:
    (sample / "train0008.tfrecord").write_bytes(b"no TFRecord file at all")
    one, several = (
        json.loads(invoke("check", f"{sample}/*", "--json", "--max-reject-share=1", f"--jobs={jobs}")[0])
        for jobs in (1, 2)
    )
    assert one == several
    # The other files hold 2 or 3 videos each.
    assert one["rejected"] == {"foreign_file": 2}
    assert one["files"] == len(expand([f"{sample}/*"]))


def test_check_shows_videos_without_labels_and_the_editions(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labelled = tf.train.SequenceExample.FromString(random_example(generator, 1, [4715], b"old"))
    labelled.context.feature["video_id"].CopyFrom(labelled.context.feature["id"])
    del labelled.context.feature["id"]
    segments = tf.train.SequenceExample.FromString(random_example(generator, 1, [1], b"segments"))
    segments.context.feature["segment_labels"].int64_list.value.append(1)
    records = [
        random_example(generator, 1, [2], b"new"),
        *(e.SerializeToString() for e in (labelled, segments)),
    ]
    write_tfrecords(str(tmp_path / "train0.tfrecord"), records)
    write_tfrecords(str(tmp_path / "test0.tfrecord"), [random_example(generator, 1, [], b"unlabelled")])
    output, error = invoke("check", f"{tmp_path}/*", "--num-classes=4716")
    assert error is None
    lines = {line.split()[0]: line for line in output.splitlines()}
    assert lines["unlabelled"].split(maxsplit=2)[1:] == [
        "1",
        "(without labels, as in test files: they neither train nor evaluate)",
    ]
    assert "2016/17 (1 records; data.num_classes is 4800 in 2016, 4716 in 2017)" in lines["edition"]
    assert "2019 (1 records; its segment labels are not used)" in lines["edition"]
    assert "1 of the files are named test*: a run with the same pattern leaves them out" in output
    output, error = invoke("check", f"{tmp_path}/*", "--json", "--max-reject-share=0.5")
    assert error is None
    found = json.loads(output)
    assert (found["unlabelled_videos"], found["test_files_left_out_of_runs"]) == (1, 1)
    assert found["editions"] == {"2018": 2, "2019": 1}
    assert found["rejected"] == {"label_out_of_range": 1}
    assert "4716 classes (data.num_classes)" in found["first_rejects"][0]["detail"]
    output, _ = invoke("check", f"{tmp_path}/test*")
    assert "(all: nothing here can be trained or evaluated on; yt8m infer predicts them)" in output


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """A directory with seven real shards."""
    if not REAL.is_dir():
        pytest.skip("the real YouTube-8M sample is not on this machine")
    for index in range(7):
        shutil.copy(REAL / f"validate{index:04d}.tfrecord", tmp_path)
    return tmp_path


def test_five_bad_files_of_twelve_real_ones_are_a_third_of_the_videos(real: Path) -> None:
    for index in range(7, 10):
        (real / f"validate{index:04d}.tfrecord").write_bytes(b"")
    page = b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code></Error>'
    (real / "validate0010.tfrecord").write_bytes(page)
    whole = (REAL / "validate0011.tfrecord").read_bytes()
    (real / "validate0011.tfrecord").write_bytes(whole[: len(whole) // 2])
    output, error = invoke("check", f"{real}/*", "--json")
    assert isinstance(error, UserError)
    assert "4 data file(s) cannot be read at all, more than the 0 allowed" in str(error)
    assert "validate0010.tfrecord (foreign_file); cut: " in str(error)
    found = json.loads(output)
    # What they held before: four times a whole shard, and half of one.
    held = (
        sum(_videos(REAL / f"validate{index:04d}.tfrecord") for index in range(7, 11))
        + _videos(REAL / "validate0011.tfrecord") / 2
    )
    assert found["rejected_videos"] == pytest.approx(held, rel=0.1)
    assert found["rejected_is_estimated"]
    assert found["share"] == pytest.approx(0.38, abs=0.01)
    _, error = invoke("check", f"{real}/*", "--json", "--max-lost-files=4")
    assert "more than the 1.00% allowed" in str(error)
    assert (
        f"about {found['rejected_videos']:,} of {found['rejected_videos'] + found['videos']:,} videos"
        in str(error)
    )


def test_half_a_gzip_file_is_half_of_its_videos(real: Path) -> None:
    whole = gzip.compress((REAL / "validate0007.tfrecord").read_bytes(), 1)
    (real / "validate0007.tfrecord").write_bytes(whole[: len(whole) // 2])
    output, error = invoke("check", f"{real}/*", "--json")
    assert isinstance(error, UserError)
    held = _videos(REAL / "validate0007.tfrecord")
    assert json.loads(output)["rejected"]["truncated_file"] == pytest.approx(held / 2, rel=0.25)


def test_a_copy_of_a_real_shard_is_named(real: Path) -> None:
    copy = real / "validate9999.tfrecord"
    shutil.copy(real / "validate0003.tfrecord", copy)
    output, error = invoke("check", f"{real}/*", "--json")
    assert f"{copy} is a copy of {real}/validate0003.tfrecord" in str(error)
    found = json.loads(output)
    assert found["copied_files"] == {str(copy): f"{real}/validate0003.tfrecord"}
    assert found["rejected"] == {"duplicate_id": _videos(copy)}
    assert found["videos"] == sum(_videos(real / f"validate{index:04d}.tfrecord") for index in range(7))


def _videos(path: Path) -> int:
    return sum(1 for _ in tf.data.TFRecordDataset(str(path)))
