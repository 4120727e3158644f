"""ExampleGen's plain functions: no TFX, milliseconds."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from components.example_gen.convert import ShardResult, ShardTask, convert_shard
from components.example_gen.patterns import relative_patterns
from components.example_gen.split import split_files
from components.example_gen.summary import SplitLimits, check_report, summarise
from tests.records import sequence_example
from trainer.base.errors import UserError
from trainer.data.checks.file_check import FileCheck
from trainer.data.records import Video, read_videos
from trainer.data.tfrecord import write_tfrecords

VALIDATE = [f"/data/validate{number:04d}.tfrecord" for number in range(3844)]
TRAIN = [f"/data/train{number:04d}.tfrecord" for number in range(3844)]
SETTINGS = {"eval_files": 60, "eval_share": 0.1, "seed": 0}


def test_the_papers_split() -> None:
    split = split_files(TRAIN, VALIDATE, **SETTINGS)
    assert len(split.eval) == 60
    assert len(split.train) == 2 * 3844 - 60
    assert set(split.eval) < set(VALIDATE)
    assert set(split.train) | set(split.eval) == {*TRAIN, *VALIDATE}
    assert list(split.train) == sorted(split.train)


def test_six_of_the_sixty_real_shards_are_evaluated_on() -> None:
    split = split_files([], VALIDATE[:60], **SETTINGS)
    assert (len(split.train), len(split.eval)) == (54, 6)


def test_the_seed_chooses_and_the_directory_does_not() -> None:
    def names(paths: list[str], seed: int) -> list[str]:
        split = split_files([], paths, eval_files=60, eval_share=0.1, seed=seed)
        return [path.rsplit("/", 1)[1] for path in split.eval]

    assert names(VALIDATE[:60], 0) == names(
        [path.replace("/data", "gs://bkt/x") for path in VALIDATE[:60]], 0
    )
    assert names(VALIDATE[:60], 0) == names(VALIDATE[:60][::-1], 0)
    assert names(VALIDATE[:60], 0) != names(VALIDATE[:60], 1)


def test_files_named_train_are_never_evaluated_on() -> None:
    split = split_files([], [*TRAIN[:50], *VALIDATE[:4]], eval_files=60, eval_share=0.5, seed=0)
    assert len(split.eval) == 2
    assert set(split.eval) < set(VALIDATE)


def test_the_holdout_is_taken_beside_the_same_eval_split() -> None:
    without = split_files([], VALIDATE[:60], **SETTINGS)
    split = split_files([], VALIDATE[:60], **SETTINGS, holdout_files=60)
    assert [len(files) for files in split.by_name().values()] == [48, 6, 6]
    assert split.eval == without.eval
    assert set(split.holdout) < set(without.train)
    papers = split_files(TRAIN, VALIDATE, **SETTINGS, holdout_files=30)
    assert (len(papers.eval), len(papers.holdout)) == (60, 30)
    assert papers.eval == split_files(TRAIN, VALIDATE, **SETTINGS).eval
    assert list(without.by_name()) == ["train", "eval"], "nobody asked for a holdout"


@pytest.mark.parametrize("seed", range(5))
def test_files_that_come_later_make_no_holdout_of_what_was_trained_or_chosen_on(seed: int) -> None:
    settings = {"eval_files": 6, "eval_share": 0.1, "holdout_files": 6, "seed": seed}
    before, after = (split_files([], VALIDATE[:count], **settings) for count in (60, 400))
    assert before.eval != after.eval
    assert before.holdout != after.holdout
    assert not {*before.train, *before.eval} & set(after.holdout)
    assert not set(before.holdout) & set(after.eval)


def test_files_that_are_named_as_the_holdout_are_taken_out_of_the_others() -> None:
    held = [VALIDATE[3], TRAIN[1], "/data/other.tfrecord"]
    split = split_files(TRAIN[:9], VALIDATE[:20], held, **SETTINGS)
    assert set(split.holdout) == set(held)
    assert not {*split.train, *split.eval} & set(held)
    assert len(split.train) + len(split.eval) == 8 + 19


@given(
    train=st.sets(st.sampled_from(TRAIN[:30])),
    validate=st.sets(st.sampled_from(VALIDATE[:30]), min_size=2),
    eval_files=st.integers(1, 40),
    eval_share=st.floats(0.01, 0.5),
    holdout_files=st.integers(0, 40),
    named=st.sets(st.sampled_from(VALIDATE[25:31])),
    seed=st.integers(0, 99),
)
def test_every_file_is_in_exactly_one_split(
    train: set[str],
    validate: set[str],
    eval_files: int,
    eval_share: float,
    holdout_files: int,
    named: set[str],
    seed: int,
) -> None:
    settings = {
        "eval_files": eval_files,
        "eval_share": eval_share,
        "holdout_files": holdout_files,
        "seed": seed,
    }
    drawn = validate - named
    most = max(1, round(eval_share * len(drawn)))
    count = min(eval_files, most)
    held = max(0, min(holdout_files, most, len(drawn) - count))
    left, wanted = len(train) + len(drawn) - count - held, bool(holdout_files and not named)
    if not drawn or left < 1 or (wanted and not held):
        with pytest.raises(UserError):
            split_files(train, validate, named, **settings)
        return
    split = split_files(train, validate, named, **settings)
    assert sorted([*split.train, *split.eval, *split.holdout]) == sorted(train | validate | named)
    assert (len(split.eval), len(split.holdout)) == (count, len(named) + held)


@pytest.mark.parametrize(
    ("train", "validate", "part"),
    [
        (TRAIN, [], "no validate file"),
        ([], VALIDATE[:1], "none is left to train on"),
        (VALIDATE[:2], VALIDATE[:3], "matches the train and the validate patterns"),
    ],
)
def test_splits_that_cannot_be(train: list[str], validate: list[str], part: str) -> None:
    with pytest.raises(UserError, match=part):
        split_files(train, validate, **SETTINGS)


def test_a_holdout_that_cannot_be_names_the_way_out() -> None:
    with pytest.raises(
        UserError, match=r"1 become the eval split and 1 the holdout, none is left to train on; .*files=0"
    ):
        split_files([], VALIDATE[:2], **SETTINGS, holdout_files=1)
    with pytest.raises(
        UserError, match=r"1 become the eval split, none is left for the holdout; .*holdout_files=0"
    ):
        split_files(TRAIN[:3], VALIDATE[:1], **SETTINGS, holdout_files=1)


def test_patterns_share_a_base() -> None:
    patterns = relative_patterns(
        ["gs://bkt/yt8m/{SPAN}/train*", "gs://bkt/yt8m/x/y"], ["gs://bkt/yt8m/{SPAN}/validate*"]
    )
    assert patterns == ("gs://bkt/yt8m", ("{SPAN}/train*", "x/y"), ("{SPAN}/validate*",), ())
    assert relative_patterns(["/a/b/c*"], ["/x/y*"]) == ("/", ("a/b/c*",), ("x/y*",), ())
    assert relative_patterns(["/a/t*"], ["/a/v*"], ["/a/h/*"]) == ("/a", ("t*",), ("v*",), ("h/*",))
    assert relative_patterns([], ["/a/bc/v*", "/a/b/v*"]) == ("/a", (), ("bc/v*", "b/v*"), ())


def test_relative_local_patterns_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert relative_patterns([], ["data/v*"]) == (f"{tmp_path}/data", (), ("v*",), ())


@pytest.mark.parametrize(
    ("train", "validate", "part"),
    [
        (["gs://a/train*"], ["gs://bkt/validate*"], "gs://a, gs://b"),
        (["/a/train*"], ["gs://bkt/validate*"], "different places"),
        (["/a/train*"], [], "at least one validate pattern"),
        ([], [""], "is empty"),
    ],
)
def test_patterns_that_cannot_be(train: list[str], validate: list[str], part: str) -> None:
    with pytest.raises(UserError, match=part):
        relative_patterns(train, validate)


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
