"""Checks that are kept: a file is read once, and again when it has changed or what is kept is damaged."""

import os
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
import tensorflow as tf

from components.example_gen import kept_check
from components.example_gen.distribution import Distribution
from components.example_gen.kept_check import checked
from components.example_gen.partial_statistics import merged_statistics, partial_statistics
from tests.records import sequence_example
from trainer.data.encoding import parse_summary
from trainer.data.records import read_videos
from trainer.data.tfrecord import used_records, write_tfrecords


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "train0.tfrecord"
    frames = [bytes([value]) * 1024 for value in range(40)], [bytes(128)] * 40
    videos = [
        sequence_example(*frames, (5, 7), b"a"),
        b"no example",
        sequence_example(*frames, (), b"unlabelled"),
        sequence_example(*frames, (7,), b"b"),
    ]
    write_tfrecords(str(path), videos)
    return path


def same(one: kept_check.KeptCheck, other: kept_check.KeptCheck) -> bool:
    return (
        one.check == other.check
        and (one.check.rows == other.check.rows).all()
        and (one.crc32c, one.rejects, one.modified) == (other.crc32c, other.rejects, other.modified)
        and one.rejected.tolist() == other.rejected.tolist()
        and one.distribution.document() == other.distribution.document()
    )


def test_what_is_kept_is_what_was_checked_and_no_byte_of_the_file_is_read_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = checked(str(data), 3862, str(tmp_path / "checked"))
    assert (first.check.videos, first.check.unlabelled, len(first.rejected)) == (3, 1, 1)
    monkeypatch.setattr(kept_check, "read_parts", None)
    assert same(first, checked(str(data), 3862, str(tmp_path / "checked")))


def test_the_used_videos_are_read_from_the_file_itself(data: Path, tmp_path: Path) -> None:
    kept = checked(str(data), 3862, str(tmp_path / "checked"))
    used = kept.check.rows["labels"] > 0
    file = kept.data_file(used, span=3)
    assert (file.file, file.videos, len(file.skipped), file.span) == (str(data), 2, 2, 3)
    assert kept.examples is None
    summaries = [parse_summary(one.data) for one in used_records(kept.summary_file(used, 3))]
    assert summaries == [(b"a", (5, 7), 40), (b"b", (7,), 40)]
    used[0] = False  # a duplicate, say
    assert [parse_summary(one.data)[0] for one in used_records(kept.summary_file(used, 3))] == [b"b"]


def video_level(video_id: bytes) -> bytes:
    features = {
        "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[video_id])),
        "labels": tf.train.Feature(int64_list=tf.train.Int64List(value=[3] if video_id != b"2" else [])),
        "mean_rgb": tf.train.Feature(float_list=tf.train.FloatList(value=np.linspace(-1, 1, 1024))),
        "mean_audio": tf.train.Feature(float_list=tf.train.FloatList(value=[0.5] * 128)),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.mark.parametrize("compressed", [False, True])
def test_video_level_and_compressed_files_are_converted_once(tmp_path: Path, compressed: bool) -> None:
    source = tmp_path / f"train0.tfrecord{'.gz' if compressed else ''}"
    make = (
        (lambda one: sequence_example([bytes(1024)], [bytes(128)], (3,) if one != b"2" else (), one))
        if (compressed)
        else video_level
    )
    write_tfrecords(str(source), [make(b"%d" % number) for number in (2, 0, 1, 4, 5)])
    videos = {video.id: video.sequence_example for video in read_videos(str(source))}
    kept = checked(str(source), 3862, str(tmp_path / "checked"))
    used = np.array([False, True, True, False, True])
    file = kept.data_file(used, 0)
    assert file.file != str(source)
    assert [one.data for one in used_records(file)] == [videos[one] for one in (b"0", b"1", b"5")]
    assert f"{google_crc32c.value(Path(file.file).read_bytes()):08x}" == file.crc32c
    again = checked(str(source), 3862, str(tmp_path / "checked"))
    assert again.data_file(used, 0) == file


def test_a_changed_file_and_a_damaged_check_are_read_anew(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "checked"
    first = checked(str(data), 3862, str(root))
    (check,) = root.rglob("check.npz")
    content = check.read_bytes()
    check.write_bytes(content[: len(content) // 2])
    assert same(first, checked(str(data), 3862, str(root)))
    assert same(first, checked(str(data), 3862, str(root)))
    os.utime(data, ns=(0, 10**18))
    assert checked(str(data), 3862, str(root)).modified == 10**18
    assert len(list(root.rglob("check.npz"))) == 2


def test_a_check_that_was_interrupted_leaves_nothing_and_is_done_anew(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(kept_check, "summary_example", full)
        with pytest.raises(OSError, match="No space"):
            checked(str(data), 3862, str(tmp_path / "checked"))
    assert not [path for path in (tmp_path / "checked").rglob("*") if path.is_file()]
    assert checked(str(data), 3862, str(tmp_path / "checked")).check.videos == 3


def test_distributions_add_up(data: Path, tmp_path: Path) -> None:
    one = checked(str(data), 3862, str(tmp_path / "checked")).distribution
    assert one.videos == 2
    assert (one.classes[7], one.classes[5], one.labels[1], one.labels[2], one.frames[40]) == (2, 1, 1, 1, 2)
    assert one.sampled == 2 * 3, "frames 0, 16 and 32"
    assert one.sums[0] / one.sampled == 16
    both = Distribution.total([one, one], 3862)
    assert both.document() == Distribution.of_document(both.document()).document()
    assert both.classes[7] == 4
    assert both.squares[0] == 2 * one.squares[0]


def test_merged_statistics_are_those_of_all_videos() -> None:
    rng = np.random.default_rng(0)
    videos = [
        (b"%d" % number, sorted({*rng.integers(0, 99, 4).tolist()}), int(rng.integers(1, 301)))
        for number in range(90)
    ]
    (merged,) = merged_statistics([partial_statistics(videos[:50]), partial_statistics(videos[50:])]).datasets
    (whole,) = merged_statistics([partial_statistics(videos)]).datasets
    assert merged.num_examples == whole.num_examples == 90
    for one, other in zip(merged.features, whole.features, strict=True):
        assert one.path == other.path
        assert one.num_stats.mean == pytest.approx(other.num_stats.mean)
        assert one.num_stats.std_dev == pytest.approx(other.num_stats.std_dev)
        assert (one.num_stats.min, one.num_stats.max) == (other.num_stats.min, other.num_stats.max)
        assert one.num_stats.common_stats.avg_num_values == pytest.approx(
            other.num_stats.common_stats.avg_num_values
        )
