"""What ExampleGen does of a file and says of all: plain functions, no TFX, milliseconds."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from components.example_gen.convert import ShardResult, ShardTask, convert_shard
from components.example_gen.summary import SplitLimits, check_report, summarise
from tests.records import sequence_example
from trainer.base.errors import UserError
from trainer.base.files import expand
from trainer.data.checks.file_check import FileCheck
from trainer.data.input_pipeline import Batch, eval_batches, train_batches
from trainer.data.manifest import MANIFEST, example_files, write_manifest
from trainer.data.records import Video, read_videos
from trainer.data.tfrecord import write_tfrecords


def frames(count: int) -> tuple[list[bytes], list[bytes]]:
    return [bytes([index]) * 1024 for index in range(count)], [bytes([index]) * 128 for index in range(count)]


@pytest.fixture
def task(tmp_path: Path) -> ShardTask:
    path = str(tmp_path / "validate0000.tfrecord")
    good = sequence_example(*frames(3), [7, 5], b"aa"), sequence_example(*frames(2), [1, 2], b"bb")
    unlabelled = sequence_example(*frames(1), [], b"dd")
    write_tfrecords(path, [good[0], sequence_example(*frames(1), [9000], b"cc"), b"", good[1], unlabelled])
    return ShardTask(
        path=path,
        split="eval",
        index=2,
        count=5,
        examples_uri=str(tmp_path / "examples"),
        summaries_uri=str(tmp_path / "summaries"),
        staging_uri=str(tmp_path / "examples" / ".staging"),
        checks_uri=str(tmp_path / "checked"),
        num_classes=3862,
        copy=True,
    )


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_file_becomes_one_shard_of_each_kind(task: ShardTask, tmp_path: Path) -> None:
    result = convert_shard(task)
    name = "Split-eval/data_tfrecord-00002-of-00005"
    assert (result.videos, result.frames, result.labels) == (2, 5, 4)
    assert result.check.rejected == {"label_out_of_range": 1, "not_an_example": 1}
    assert (result.check.videos, result.check.unlabelled) == (3, 1)
    videos = list(read_videos(str(tmp_path / "examples" / name)))
    assert [(video.id, video.num_frames) for video in videos if isinstance(video, Video)] == [
        (b"aa", 3),
        (b"bb", 2),
    ]
    summaries = tf.data.TFRecordDataset(str(tmp_path / "summaries" / name)).as_numpy_iterator()
    features = [tf.train.Example.FromString(data).features.feature for data in summaries]
    assert [feature["num_frames"].int64_list.value[0] for feature in features] == [3, 2]
    assert features[0]["labels"].int64_list.value == [5, 7]
    rejects = read_rejects(result)
    assert [reject["reason"] for reject in rejects] == ["label_out_of_range", "not_an_example", "no_labels"]
    assert rejects[0]["file"] == task.path
    assert 0 < rejects[0]["offset"] < rejects[1]["offset"] < rejects[2]["offset"]
    assert sorted(path.name for path in (tmp_path / "examples" / ".staging").iterdir()) == [
        "rejects-eval-00002.jsonl"
    ]


def test_videos_that_stood_before_are_left_out_one_by_one_or_as_a_copy(
    task: ShardTask, tmp_path: Path
) -> None:
    result = convert_shard(task, {1: "first"})
    assert (result.videos, result.duplicates, result.copy_of) == (1, 1, None)
    (video,) = read_videos(str(tmp_path / "examples" / "Split-eval/data_tfrecord-00002-of-00005"))
    assert video.id == b"aa"
    rejects = {reject["reason"]: reject for reject in read_rejects(result)}
    offset = convert_shard(task).check.rows["offset"][1]
    assert rejects["duplicate_id"]["offset"] == offset
    assert rejects["duplicate_id"]["detail"] == "the video stands in first before"
    result = convert_shard(task, {0: "first", 1: "first"})
    assert (result.videos, result.duplicates, result.copy_of) == (0, 2, "first")
    rejects = {reject["reason"]: reject for reject in read_rejects(result)}
    assert rejects["duplicate_id"]["lost_records"] == 2
    assert "it is a copy" in rejects["duplicate_id"]["detail"]


def test_a_result_survives_json(task: ShardTask) -> None:
    result = convert_shard(task)
    again = ShardResult.of_document(json.loads(json.dumps(result.document())))
    assert again == replace(result, distribution=None)
    assert again.check.damage == result.check.damage
    kept = FileCheck.of_document(json.loads(json.dumps(result.check.document())), result.check.rows)
    assert kept == result.check


def test_done_twice_it_gives_the_same_files(task: ShardTask, tmp_path: Path) -> None:
    convert_shard(task)
    before = contents(tmp_path)
    convert_shard(task)
    assert contents(tmp_path) == before


def video_level(video_id: bytes, label: int) -> bytes:
    def floats(count: int) -> tf.train.Feature:
        values = np.random.default_rng(label).uniform(-2, 2, count)
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))

    features = {
        "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[video_id])),
        "labels": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
        "mean_rgb": floats(1024),
        "mean_audio": floats(128),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.mark.parametrize("level", ["frame", "video"])
def test_training_and_evaluation_read_the_same_by_reference_and_from_copies(
    tmp_path: Path, level: str
) -> None:
    paths = [tmp_path / f"train{index}.tfrecord" for index in range(5)]
    for index, path in enumerate(paths):
        names = [(label, b"%d-%d" % (index, label)) for label in range(9)]
        videos = [
            sequence_example(*frames(1 + label), [label], name)
            if level == "frame"
            else video_level(name, label)
            for label, name in names
        ]
        videos[4] = b"no video"
        if level == "frame":
            videos[5] = sequence_example(*frames(2), [], b"unlabelled %d" % index)
        write_tfrecords(str(path), videos)

    def batches(copy: bool) -> list[Batch]:
        root = tmp_path / f"copy-{copy}"
        uris = {f"{name}_uri": str(root / name) for name in ("examples", "summaries", "staging", "checks")}
        results = [
            convert_shard(
                ShardTask(
                    path=str(path),
                    split="train",
                    index=index,
                    count=5,
                    num_classes=3862,
                    copy=copy,
                    **uris,
                ),
                {2: "an earlier file"} if index == 3 else None,
            )
            for index, path in enumerate(paths)
        ]
        directory = root / "examples" / "Split-train"
        if not copy:
            directory.mkdir(parents=True)
            write_manifest(str(directory), [result.examples for result in results])
        assert [path.name == MANIFEST for path in directory.iterdir()] == [not copy] * (5 if copy else 1)
        files = example_files(expand([f"{directory}/*"]))
        assert len(files) == 5
        trained = train_batches(
            files, batch_size=4, frames_per_video=3, seed=0, shuffle_buffer=8, files_per_group=2
        )
        return [next(trained) for _ in range(25)] + list(eval_batches(files, 4))

    for one, other in zip(batches(copy=False), batches(copy=True), strict=True):
        assert one.keys() == other.keys()
        for key in one:
            assert np.array_equal(one[key], other[key]), key


def read_rejects(result: ShardResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(result.rejects_path).read_text().splitlines()]


def result(split: str, videos: int, unlabelled: int = 0, duplicates: int = 0, **rejected: int) -> ShardResult:
    check = FileCheck(
        path=split, bytes=0, videos=videos + unlabelled + duplicates, unlabelled=unlabelled, rejected=rejected
    )
    return ShardResult(
        split=split,
        index=0,
        videos=videos,
        frames=2 * videos,
        labels=3 * videos,
        check=check,
        duplicates=duplicates,
    )


def test_the_report_adds_up() -> None:
    results = [
        result("train", 90, crc_mismatch=2),
        result("eval", 5, unlabelled=7),
        result("train", 1, crc_mismatch=1, no_frames=1, duplicates=3),
    ]
    report = summarise(results, span=3, left_out_files=["test0"])
    assert report.document() == {
        "span": 3,
        "splits": {
            "train": {"files": 2, "videos": 91, "frames": 182, "labels": 273, "unlabelled": 0},
            "eval": {"files": 1, "videos": 5, "frames": 10, "labels": 15, "unlabelled": 7},
        },
        "rejected": {"crc_mismatch": 3, "duplicate_id": 3, "no_frames": 1},
        "rejected_videos": 7,
        "share": 7 / 103,
        "unlabelled_videos": 7,
        "editions": {},
        "losses": (),
        "copies": {},
        "left_out_files": ("test0",),
    }


def test_the_share_of_rejects_is_checked_exactly() -> None:
    limits = SplitLimits(max_reject_share=0.01)
    at_limit = summarise([result("train", 98, no_frames=1), result("eval", 1, unlabelled=900)], 0)
    check_report(at_limit, limits, "r.jsonl")
    above = summarise([result("train", 97, no_frames=1, crc_mismatch=2), result("eval", 1)], 0)
    with pytest.raises(
        UserError, match=r"3 of 101 videos \(2\.97%\).*1\.00%.*2 crc_mismatch, 1 no_frames.*r\.jsonl"
    ):
        check_report(above, limits, "r.jsonl")


def test_a_split_without_a_video_is_refused() -> None:
    limits = SplitLimits(max_reject_share=1.0)
    with pytest.raises(UserError, match="eval split have no valid video"):
        check_report(summarise([result("train", 9), result("eval", 0, no_frames=1)], 0), limits, "r")


def test_an_eval_split_without_labels_or_with_few_videos_is_refused() -> None:
    limits = SplitLimits(min_eval_videos=5)
    check_report(summarise([result("train", 1), result("eval", 5)], 0), limits, "r")
    with pytest.raises(
        UserError, match=r"eval split has 4 videos .* fewer than the 5 of data\.min_eval_videos"
    ):
        check_report(summarise([result("train", 1), result("eval", 4)], 0), limits, "r")
    with pytest.raises(
        UserError, match=r"eval split have no valid video with labels; 300 videos of it have no l"
    ):
        check_report(summarise([result("train", 9), result("eval", 0, unlabelled=300)], 0), limits, "r")


def test_the_plain_functions_import_no_tfx() -> None:
    modules = ", ".join(
        f"components.example_gen.{name}" for name in ("convert", "patterns", "split", "summary")
    )
    script = f"import sys, {modules}; sys.exit('tfx' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
