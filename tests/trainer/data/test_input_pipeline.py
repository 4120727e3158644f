"""What comes out of the readers, and that the training stream can start anywhere in itself."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.records import random_frames, sequence_example, write_shards
from trainer.base.errors import UserError
from trainer.data.input_pipeline import Position, eval_batches, train_batches

CLASSES = 12


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), shards=5, videos=11, num_classes=CLASSES)


def stream(files, **settings):
    settings = {
        "batch_size": 4,
        "frames_per_video": 3,
        "seed": 7,
        "shuffle_buffer": 16,
        "files_per_group": 2,
        "num_classes": CLASSES,
    } | settings
    return train_batches(files, **settings)


def take(batches, count):
    try:
        return list(itertools.islice(batches, count))
    finally:
        batches.close()


def test_eval_batches_hold_all_real_frames_in_the_order_of_the_files(tmp_path):
    generator = np.random.default_rng(0)
    videos = [
        (random_frames(generator, count), labels) for count, labels in ((2, [3]), (4, []), (1, [0, 3, 3]))
    ]
    paths = [str(tmp_path / "a"), str(tmp_path / "b.gz")]
    with tf.io.TFRecordWriter(paths[0]) as writer:
        for index in (0, 1):
            (rgb, audio), labels = videos[index]
            writer.write(sequence_example(rgb, audio, labels, b"v%d" % index))
    with tf.io.TFRecordWriter(paths[1], "GZIP") as writer:
        (rgb, audio), labels = videos[2]
        writer.write(sequence_example(rgb, audio, labels, b"v2"))
    (batch,) = eval_batches(paths, 8, CLASSES)
    assert batch["id"].tolist() == [b"v0", b"v1", b"v2"]
    assert batch["num_frames"].tolist() == [2, 4, 1]
    assert [np.flatnonzero(row).tolist() for row in batch["labels"]] == [[3], [], [0, 3]]
    assert batch["frames"].shape == (3, 4, 1152)
    for index, ((rgb, audio), _) in enumerate(videos):
        for frame, (r, a) in enumerate(zip(rgb, audio, strict=True)):
            assert batch["frames"][index, frame].tobytes() == r + a
    assert not np.any(batch["frames"][0, 2:])


def test_eval_batches_cut_at_300_frames_and_at_the_limit(tmp_path):
    generator = np.random.default_rng(0)
    path = str(tmp_path / "long")
    with tf.io.TFRecordWriter(path) as writer:
        for _ in range(3):
            writer.write(sequence_example(*random_frames(generator, 301), [1]))
    (batch,) = eval_batches([path], 8, CLASSES, limit=2)
    assert batch["frames"].shape == (2, 300, 1152)
    assert batch["num_frames"].tolist() == [300, 300]


def test_an_epoch_has_every_video_once(shards):
    batches = take(stream(shards, batch_size=5), 11)
    places = {tuple(place) for batch in batches for place in batch["position"]}
    assert len(places) == 55
    assert {place[0] for place in places} == {0}
    labels = sum(int(batch["labels"].sum()) for batch in batches)
    expected = sum(int(batch["labels"].sum()) for batch in eval_batches(shards, 55, CLASSES))
    assert labels == expected


def test_training_frames_are_real_ones_of_their_video(shards):
    known = {
        frame.tobytes()
        for batch in eval_batches(shards, 64, CLASSES)
        for video, count in zip(batch["frames"], batch["num_frames"], strict=True)
        for frame in video[:count]
    }
    for batch in take(stream(shards), 5):
        assert batch["frames"].dtype == np.uint8
        assert batch["counts"].sum(axis=1).tolist() == [3] * 4
        assert {frame.tobytes() for frame in batch["frames"][batch["counts"] > 0]} <= known
        assert not np.any(batch["frames"][batch["counts"] == 0])


def test_the_stream_is_a_function_of_the_seed(shards):
    first, same, other = ([b["frames"] for b in take(stream(shards, seed=s), 6)] for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_epochs_differ_in_order_and_files_are_mixed(shards):
    batches = take(stream(shards, batch_size=5), 22)
    first, second = (np.concatenate([b["labels"] for b in part]) for part in (batches[:11], batches[11:]))
    assert not np.array_equal(first, second)
    assert {int(b["position"][-1, 0]) for b in batches[11:]} == {1}


@pytest.mark.parametrize("done", [1, 5, 6, 13, 14, 20])
def test_a_resumed_stream_goes_on_where_it_stopped(shards, done):
    whole = take(stream(shards), done + 9)
    epoch, group, offset = (int(value) for value in whole[done - 1]["position"][-1])
    start = Position(epoch=epoch, group=group, offset=offset + 1)
    resumed = take(stream(shards, start=start), 9)
    for expected, batch in zip(whole[done:], resumed, strict=True):
        for key in expected:
            assert np.array_equal(expected[key], batch[key]), key


def test_a_stream_goes_on_after_the_last_record_of_its_only_group(shards):
    whole = take(stream(shards, batch_size=5, files_per_group=5), 12)
    assert whole[10]["position"][-1].tolist() == [0, 0, 54]
    start = Position(epoch=0, group=0, offset=55)
    (batch,) = take(stream(shards, batch_size=5, files_per_group=5, start=start), 1)
    for key in batch:
        assert np.array_equal(whole[11][key], batch[key]), key


def test_draws_are_uniform_over_the_real_frames_and_a_repeated_frame_stands_once(tmp_path):
    generator = np.random.default_rng(0)
    path = str(tmp_path / "one")
    rgb, audio = random_frames(generator, 30)
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(sequence_example(rgb, audio, [1]))
    places = {r + a: place for place, (r, a) in enumerate(zip(rgb, audio, strict=True))}
    total = np.zeros(30)
    for batch in take(stream([path], batch_size=8, frames_per_video=300), 20):
        assert batch["frames"].shape == (8, 32, 1152)  # 30 frames, in steps of 16
        for frames, counts in zip(batch["frames"], batch["counts"], strict=True):
            seen = [places[frame.tobytes()] for frame in frames[counts > 0]]
            assert len(set(seen)) == len(seen)
            total[seen] += counts[counts > 0]
    assert total.sum() == 160 * 300
    # 1,600 draws a frame are expected, with a standard deviation of 39.
    assert np.abs(total - 1600).max() < 5 * 39


def test_more_files_than_are_open_at_a_time_all_come(tmp_path):
    files = write_shards(tmp_path, shards=19, videos=2, num_classes=CLASSES)
    batches = take(stream(files, batch_size=2, files_per_group=19), 19)
    assert len({tuple(place) for batch in batches for place in batch["position"]}) == 38
    labels = sum(int(batch["labels"].sum()) for batch in batches)
    assert labels == sum(int(batch["labels"].sum()) for batch in eval_batches(files, 38, CLASSES))


@pytest.mark.parametrize("make", [lambda files: eval_batches(files, 4, CLASSES), stream])
def test_what_cannot_be_read_is_named(make, tmp_path, shards):
    path = tmp_path / "broken"
    data = bytearray(Path(shards[0]).read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"broken, byte \d+: crc_mismatch"):
        take(make([str(path)]), 20)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(sequence_example([bytes(1023)], [bytes(128)], [1]))
    with pytest.raises(UserError, match="broken, byte 0: no valid video, wrong_frame_length"):
        take(make([str(path)]), 20)
    with pytest.raises(UserError, match=r"cannot read .*absent"):
        take(make([str(tmp_path / "absent")]), 20)


def test_a_stream_without_a_video_is_an_error_and_an_empty_shard_is_none(tmp_path, shards):
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(UserError, match="nothing to train on"):
        take(stream([str(empty)]), 1)
    assert len(take(stream([*shards, str(empty)]), 3)) == 3
    assert list(eval_batches([str(empty)], 4, CLASSES)) == []
