import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.records import decoded, random_example, random_frames, sequence_example
from trainer.base.files import expand
from trainer.base.wire_format import varint
from trainer.data.encoding import quantize
from trainer.data.record_parts import Edition, InvalidRecordError
from trainer.data.records import Reject, Video, parse_video, read_videos
from trainer.data.tfrecord import write_tfrecords
from trainer.data.yt8m import ANY_CLASSES

GENERATOR = np.random.default_rng(0)
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "yt8m_video_level_2018"


def frame_bytes(video: Video, name: str) -> list[bytes]:
    lists = tf.train.SequenceExample.FromString(video.sequence_example).feature_lists.feature_list
    return [feature.bytes_list.value[0] for feature in lists[name].feature]


def video_level(**features: Sequence[float] | Sequence[int] | bytes | None) -> bytes:
    values = {
        "id": b"abcd",
        "labels": [3, 1],
        "mean_rgb": np.linspace(-1.9, 1.9, 1024),
        "mean_audio": np.linspace(1.9, -1.9, 128),
        **features,
    }
    feature = {}
    for name, value in values.items():
        if isinstance(value, bytes):
            feature[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        elif name == "labels":
            feature[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=value))
        elif value is not None:
            feature[name] = tf.train.Feature(float_list=tf.train.FloatList(value=value))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


def test_a_frame_level_record() -> None:
    rgb, audio = random_frames(GENERATOR, 7)
    video = parse_video(sequence_example(rgb, audio, [9, 2, 9], b"x7"))
    assert (video.id, video.labels, video.num_frames) == (b"x7", (2, 9), 7)
    assert frame_bytes(video, "rgb") == rgb
    assert frame_bytes(video, "audio") == audio
    context = tf.train.SequenceExample.FromString(video.sequence_example).context.feature
    assert context["labels"].int64_list.value == [2, 9]
    assert context["id"].bytes_list.value == [b"x7"]


def test_a_video_is_its_own_fixed_point() -> None:
    video = parse_video(random_example(GENERATOR, 5, [4, 4, 0]))
    assert parse_video(video.sequence_example) == video


def test_unusual_but_valid_encodings_give_the_same_bytes() -> None:
    rgb, audio = random_frames(GENERATOR, 2)
    example = tf.train.SequenceExample.FromString(sequence_example(rgb, audio, [1]))
    expected = parse_video(example.SerializeToString())
    example.context.feature["extra"].float_list.value.append(1.0)
    assert parse_video(example.SerializeToString()) == expected
    # Frames with a field that no reader knows, which makes them longer than the usual layout.
    lists = tf.train.FeatureList.FromString(example.feature_lists.feature_list["audio"].SerializeToString())
    unknown = b"\x58\x01"  # field 11, varint 1
    longer = b"".join(b"\x0a\x88\x01" + feature.SerializeToString() + unknown for feature in lists.feature)
    entry = b"\x0a\x05audio\x12" + varint(len(longer)) + longer
    rgb_list = example.feature_lists.feature_list["rgb"].SerializeToString()
    entry_rgb = b"\x0a\x03rgb\x12" + varint(len(rgb_list)) + rgb_list
    body = b"".join(b"\x0a" + varint(len(part)) + part for part in (entry, entry_rgb))
    context = example.context.SerializeToString()
    odd = b"\x0a" + varint(len(context)) + context + b"\x12" + varint(len(body)) + body
    assert len(tf.train.SequenceExample.FromString(odd).feature_lists.feature_list["audio"].feature) == 2
    assert parse_video(odd) == expected


@pytest.mark.parametrize("frames", [300, 301, 360])
def test_longer_videos_are_cut_to_300_frames(frames: int) -> None:
    rgb, audio = random_frames(GENERATOR, frames)
    video = parse_video(sequence_example(rgb, audio))
    assert video.num_frames == 300
    assert frame_bytes(video, "rgb") == rgb[:300]
    assert frame_bytes(video, "audio") == audio[:300]


def test_a_video_level_record_becomes_one_frame_in_the_same_code() -> None:
    video = parse_video(video_level())
    assert (video.id, video.labels, video.num_frames) == (b"abcd", (1, 3), 1)
    (rgb,) = frame_bytes(video, "rgb")
    np.testing.assert_array_equal(
        np.frombuffer(rgb, np.uint8), quantize(np.linspace(-1.9, 1.9, 1024, dtype=np.float32))
    )
    (audio,) = frame_bytes(video, "audio")
    values = decoded(np.frombuffer(audio, np.uint8))
    np.testing.assert_allclose(values, np.linspace(1.9, -1.9, 128), atol=4 / 510 + 1e-6)


def test_test_files_have_no_labels() -> None:
    assert parse_video(random_example(GENERATOR, 1, [])).labels == ()
    example = tf.train.SequenceExample.FromString(random_example(GENERATOR, 1, []))
    del example.context.feature["labels"]
    assert parse_video(example.SerializeToString(deterministic=True)).labels == ()


def of_2016(labels: Sequence[int]) -> list[bytes]:
    """The two forms of a video as the edition of 2016/17 has them: its id stands in `video_id`."""
    frame_level = tf.train.SequenceExample.FromString(random_example(GENERATOR, 2, labels, b"AbCdEfGhIjK"))
    example = tf.train.Example.FromString(video_level(id=b"AbCdEfGhIjK", labels=labels))
    for features in (frame_level.context.feature, example.features.feature):
        features["video_id"].CopyFrom(features["id"])
        del features["id"]
    return [frame_level.SerializeToString(), example.SerializeToString()]


def test_the_edition_of_2016_is_read_as_it_is() -> None:
    for data in of_2016([4715, 3]):
        video = parse_video(data, num_classes=4716)
        assert (video.id, video.labels, video.edition) == (b"AbCdEfGhIjK", (3, 4715), Edition.OF_2016)
        context = tf.train.SequenceExample.FromString(video.sequence_example).context.feature
        assert context["id"].bytes_list.value == [b"AbCdEfGhIjK"], "steps after this one know one name only"
        with pytest.raises(
            InvalidRecordError, match=r"4715 is not in 0\.\.3861; .* 4716 classes \(data.num_classes"
        ):
            parse_video(data)
        assert parse_video(data, ANY_CLASSES).labels == (3, 4715)


def test_the_edition_of_2019_is_known_by_its_segment_labels() -> None:
    example = tf.train.SequenceExample.FromString(random_example(GENERATOR, 2, [1]))
    assert parse_video(example.SerializeToString()).edition == Edition.OF_2018
    example.context.feature["segment_labels"].int64_list.value.append(7)
    video = parse_video(example.SerializeToString())
    assert (video.edition, video.labels) == (Edition.OF_2019, (1,))


def changed(feature: str, value: tf.train.Feature | None) -> bytes:
    example = tf.train.SequenceExample.FromString(random_example(GENERATOR, 2, [1]))
    del example.context.feature[feature]
    if value is not None:
        example.context.feature[feature].CopyFrom(value)
    return example.SerializeToString(deterministic=True)


def without_list(name: str) -> bytes:
    example = tf.train.SequenceExample.FromString(random_example(GENERATOR, 2, [1]))
    del example.feature_lists.feature_list[name]
    return example.SerializeToString(deterministic=True)


RGB, AUDIO = random_frames(GENERATOR, 3)
INT_FRAME = tf.train.SequenceExample.FromString(sequence_example(RGB, AUDIO))
INT_FRAME.feature_lists.feature_list["rgb"].feature[1].int64_list.value.append(4)
TWO_VALUES = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"a", b"b"]))
ONE_FLOAT = tf.train.Feature(float_list=tf.train.FloatList(value=[1.0]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not_an_example"),
        (b"\xff\xff\xff", "not_an_example"),
        (changed("id", None), "missing_feature"),
        (changed("id", tf.train.Feature()), "missing_feature"),
        (changed("id", ONE_FLOAT), "wrong_type"),
        (changed("id", TWO_VALUES), "wrong_type"),
        (changed("labels", ONE_FLOAT), "wrong_type"),
        (without_list("rgb"), "missing_feature"),
        (without_list("audio"), "missing_feature"),
        (sequence_example([], []), "no_frames"),
        (sequence_example(RGB, AUDIO[:2]), "unequal_lengths"),
        (sequence_example(RGB, []), "unequal_lengths"),
        (sequence_example([*RGB[:2], RGB[2][:-1]], AUDIO), "wrong_frame_length"),
        (sequence_example([frame + b"x" for frame in RGB], AUDIO), "wrong_frame_length"),
        (sequence_example(RGB, [b"", *AUDIO[1:]]), "wrong_frame_length"),
        (sequence_example(AUDIO, RGB), "wrong_frame_length"),
        (INT_FRAME.SerializeToString(), "wrong_type"),
        (sequence_example(RGB, AUDIO, [0, 3862]), "label_out_of_range"),
        (sequence_example(RGB, AUDIO, [-1, 5]), "label_out_of_range"),
        (video_level(mean_rgb=None), "missing_feature"),
        (video_level(mean_audio=None), "missing_feature"),
        (video_level(mean_rgb=None, mean_audio=None), "missing_feature"),
        (video_level(mean_rgb=np.zeros(1023)), "wrong_frame_length"),
        (video_level(mean_audio=np.zeros(129)), "wrong_frame_length"),
        (video_level(mean_rgb=b"bytes"), "wrong_type"),
        (video_level(mean_rgb=np.full(1024, np.nan)), "not_finite"),
        (video_level(mean_audio=np.full(128, -np.inf)), "not_finite"),
        (video_level(mean_rgb=np.full(1024, 128.0)), "value_out_of_range"),
        (video_level(labels=[4000]), "label_out_of_range"),
    ],
)
def test_reasons(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidRecordError) as raised:
        parse_video(data)
    assert raised.value.reason == reason


def test_the_last_label_is_valid_and_depends_on_the_number_of_classes() -> None:
    data = sequence_example(RGB, AUDIO, [0, 3861])
    assert parse_video(data).labels == (0, 3861)
    with pytest.raises(InvalidRecordError, match=r"label 3861 is not in 0\.\.3860"):
        parse_video(data, num_classes=3861)


@given(data=st.binary(max_size=60))
def test_random_bytes_are_rejected_and_never_crash(data: bytes) -> None:
    with pytest.raises(InvalidRecordError):
        parse_video(data)


SOUND = [random_example(np.random.default_rng(seed), seed + 1, [seed]) for seed in range(3)] + [video_level()]


@given(which=st.integers(0, len(SOUND) - 1), bit=st.integers(0))
@settings(max_examples=300, deadline=None)
def test_a_flipped_bit_behind_a_right_checksum_is_a_video_or_a_reject(which: int, bit: int) -> None:
    data = bytearray(SOUND[which])
    bit %= len(data) * 8
    data[bit // 8] ^= 1 << bit % 8
    try:
        video = parse_video(bytes(data))
    except InvalidRecordError:
        return
    assert 1 <= video.num_frames <= 3
    assert len(frame_bytes(video, "rgb")) == len(frame_bytes(video, "audio")) == video.num_frames


@given(bit=st.integers(0), zipped=st.booleans())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_in_a_file_never_loses_a_video_silently(tmp_path: Path, bit: int, zipped: bool) -> None:
    path = tmp_path / ("whole.gz" if zipped else "whole")
    write_tfrecords(str(path), SOUND)
    content = bytearray(path.read_bytes())
    bit %= len(content) * 8
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    items = list(read_videos(str(path)))
    videos = sum(isinstance(item, Video) for item in items)
    rejects = [item for item in items if isinstance(item, Reject)]
    assert videos <= len(SOUND)
    assert videos == len(SOUND) or rejects
    if not zipped:
        assert len(rejects) == 1
        assert videos + rejects[0].lost_records == len(SOUND)


def test_a_bad_record_is_rejected_with_file_and_offset_and_the_next_is_read(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tfrecord")
    write_tfrecords(path, [SOUND[0], b"", SOUND[3]])
    first, reject, last = read_videos(path)
    assert isinstance(first, Video)
    assert isinstance(last, Video)
    assert reject == Reject(path, len(SOUND[0]) + 16, "not_an_example", "there is no feature in it", 1)
    assert last.offset == len(SOUND[0]) + 32


def test_reading_needs_no_tensorflow() -> None:
    script = "import sys, trainer.data.records, trainer.data.sample; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the real YouTube-8M sample is not on this machine")
def test_the_real_sample_has_17499_valid_videos() -> None:
    videos = [item for path in expand([f"{REAL}/*.tfrecord"]) for item in read_videos(path)]
    assert len(videos) == 17_499
    assert all(isinstance(video, Video) and video.num_frames == 1 for video in videos)
    assert sum(len(video.labels) for video in videos) == 52_754
