"""What files together are: what is lost with them, and which videos they hold twice."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.records import random_example
from trainer.base.errors import UserError
from trainer.base.files import expand, expand_labelled
from trainer.data.checks.data_check import DataCheck, check_files, together
from trainer.data.checks.lost_files import DataLimits, complaint
from trainer.data.tfrecord import write_tfrecords

GENERATOR = np.random.default_rng(0)
VIDEOS = 20
"""Of each file."""


def write(path: Path, prefix: str, videos: int = VIDEOS, labels: tuple[int, ...] = (1, 2)) -> Path:
    records = [
        random_example(GENERATOR, 1, labels, f"{prefix}{index:03d}".encode()) for index in range(videos)
    ]
    write_tfrecords(str(path), records)
    return path


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Four whole files named train*."""
    return [write(tmp_path / f"train{index}.tfrecord", f"{index}-") for index in range(4)]


def found(*paths: Path) -> DataCheck:
    return together(check_files(sorted(map(str, paths))))


def refusal(check: DataCheck, **limits: float) -> str | None:
    return complaint(
        check.videos,
        check.rejected,
        check.lost_files,
        check.copies,
        DataLimits(**limits),
        lambda name: name,
        "see r",
    )


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 7])  # not between two records


def cut_as_gzip(path: Path) -> None:
    path.write_bytes(gzip.compress(path.read_bytes()))
    cut(path)


@pytest.mark.parametrize(
    ("damage", "reason", "whole"),
    [
        (lambda path: path.write_bytes(b""), "empty_file", True),
        (lambda path: path.write_bytes(gzip.compress(b"")), "empty_file", True),
        (
            lambda path: path.write_bytes(b"<?xml version='1.0'?><Error>AccessDenied</Error>"),
            "foreign_file",
            True,
        ),
        (lambda path: path.write_bytes(b"<html>"), "foreign_file", True),
        (cut, "truncated_file", False),
        (cut_as_gzip, "truncated_file", False),
    ],
)
def test_a_lost_or_cut_file_is_as_many_videos_as_the_others_hold(
    shards: list[Path], damage: Callable[[Path], None], reason: str, whole: bool
) -> None:
    damage(shards[2])
    check = found(*shards)
    (loss,) = check.lost_files
    assert (loss.file, loss.reason, loss.whole) == (str(shards[2]), reason, whole)
    assert check.videos + loss.videos == 4 * VIDEOS
    assert (loss.videos == VIDEOS) is whole
    assert check.rejected == {reason: loss.videos}
    text = refusal(check, max_lost_files=1)
    assert f"about {loss.videos} of 80 videos" in text
    assert str(shards[2]) in text
    assert refusal(check, max_lost_files=1, max_reject_share=0.5) is None
    if whole:
        assert "1 data file(s) cannot be read at all, more than the 0 allowed" in refusal(
            check, max_reject_share=1
        )
    else:
        assert refusal(check, max_reject_share=1) is None


def test_labels_that_are_out_of_range_may_be_of_another_edition() -> None:
    for reason, told in (("label_out_of_range", True), ("no_frames", False)):
        text = complaint(9, {reason: 1}, [], {}, DataLimits(), lambda name: f"data.{name}", "see r")
        assert ("give data.num_classes as the data have them, or raise" in text) is told


def test_files_of_the_same_kind_are_the_measure(shards: list[Path], tmp_path: Path) -> None:
    small = [write(tmp_path / f"validate{index}.tfrecord", f"v{index}-", 3) for index in range(3)]
    small[0].write_bytes(b"")
    assert [loss.videos for loss in found(*shards, *small).lost_files] == [3]
    only = write(tmp_path / "test0.tfrecord", "t", 3)
    only.write_bytes(b"")
    assert [loss.videos for loss in found(*shards, only).lost_files] == [VIDEOS], "none of its kind is whole"
    assert [loss.videos for loss in found(only).lost_files] == [1]


def test_a_record_that_is_bad_is_no_lost_file(shards: list[Path]) -> None:
    content = bytearray(shards[0].read_bytes())
    content[100] ^= 1
    shards[0].write_bytes(content)
    write_tfrecords(str(shards[1]), [b"no record"] * VIDEOS)
    check = found(*shards)
    assert check.lost_files == []
    assert check.rejected == {"crc_mismatch": 1, "not_an_example": VIDEOS}
    assert refusal(check, max_reject_share=0.5) is None


def test_a_copy_is_named_and_its_videos_count_once(shards: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "validate9.tfrecord"
    copy.write_bytes(shards[1].read_bytes())
    check = found(*shards, copy)
    assert (check.videos, check.labels, check.frames) == (4 * VIDEOS, 8 * VIDEOS, 4 * VIDEOS)
    assert check.rejected == {"duplicate_id": VIDEOS}
    assert check.copies == {str(copy): str(shards[1])}
    (reject,) = check.first_rejects["duplicate_id"]
    assert (reject.file, reject.lost_records) == (str(copy), VIDEOS)
    assert f"{copy} is a copy of {shards[1]}" in refusal(check)


def test_the_second_record_of_a_video_is_named_with_its_place(shards: list[Path], tmp_path: Path) -> None:
    mixed = tmp_path / "validate9.tfrecord"
    records = [random_example(GENERATOR, 1, (1,), one) for one in (b"new", b"1-003", b"new")]
    write_tfrecords(str(mixed), records)
    check = found(*shards, mixed)
    assert (check.videos, check.rejected, check.copies) == (4 * VIDEOS + 1, {"duplicate_id": 2}, {})
    assert [(reject.offset, reject.detail) for reject in check.first_rejects["duplicate_id"]] == [
        (len(records[0]) + 16, f"the video stands in {shards[1]} before"),
        (len(records[0]) + len(records[1]) + 32, f"the video stands in {mixed} before"),
    ]


def test_videos_without_labels_are_counted_and_no_rejects(shards: list[Path], tmp_path: Path) -> None:
    test = write(tmp_path / "test0.tfrecord", "t", labels=())
    check = found(*shards, test)
    assert (check.videos, check.unlabelled, check.rejected, check.share) == (5 * VIDEOS, VIDEOS, {}, 0)


def test_test_files_are_left_out_of_patterns_that_match_others_too(
    shards: list[Path], tmp_path: Path
) -> None:
    test = str(write(tmp_path / "test0.tfrecord", "t", 1, ()))
    assert expand_labelled([f"{tmp_path}/*"]) == (sorted(map(str, shards)), [test])
    assert expand_labelled([f"{tmp_path}/test*"]) == ([test], [])
    assert expand_labelled([f"{tmp_path}/*", test]) == (expand([f"{tmp_path}/*"]), [])
    with pytest.raises(UserError, match="no file matches"):
        expand_labelled([f"{tmp_path}/none*"])
