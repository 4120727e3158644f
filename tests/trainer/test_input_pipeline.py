"""What comes out of the readers, and that the training stream can start anywhere in itself."""

import numpy as np
import pytest
import tensorflow as tf

from tests.records import random_frames, sequence_example, write_shards
from trainer.input_pipeline import Position, eval_batches, train_batches

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
    assert batch["id"].numpy().tolist() == [b"v0", b"v1", b"v2"]
    assert batch["num_frames"].numpy().tolist() == [2, 4, 1]
    assert [np.flatnonzero(row).tolist() for row in batch["labels"]] == [[3], [], [0, 3]]
    assert batch["frames"].shape == (3, 4, 1152)
    for index, ((rgb, audio), _) in enumerate(videos):
        for frame, (r, a) in enumerate(zip(rgb, audio, strict=True)):
            assert batch["frames"][index, frame].numpy().tobytes() == r + a
    assert not np.any(batch["frames"][0, 2:])


def test_eval_batches_cut_at_300_frames_and_at_the_limit(tmp_path):
    generator = np.random.default_rng(0)
    path = str(tmp_path / "long")
    with tf.io.TFRecordWriter(path) as writer:
        for _ in range(3):
            writer.write(sequence_example(*random_frames(generator, 301), [1]))
    (batch,) = eval_batches([path], 8, CLASSES, limit=2)
    assert batch["frames"].shape == (2, 300, 1152)
    assert batch["num_frames"].numpy().tolist() == [300, 300]


def test_an_epoch_has_every_video_once(shards):
    batches = list(stream(shards, batch_size=5).take(11))
    places = {tuple(place) for batch in batches for place in batch["position"].numpy()}
    assert len(places) == 55
    assert {place[0] for place in places} == {0}
    labels = sum(int(batch["labels"].numpy().sum()) for batch in batches)
    expected = sum(int(batch["labels"].numpy().sum()) for batch in eval_batches(shards, 55, CLASSES))
    assert labels == expected


def test_training_frames_are_real_ones_of_their_video(shards):
    known = {
        frame.tobytes()
        for batch in eval_batches(shards, 64, CLASSES)
        for video, count in zip(batch["frames"].numpy(), batch["num_frames"].numpy(), strict=True)
        for frame in video[:count]
    }
    for batch in stream(shards).take(5):
        assert batch["frames"].dtype == tf.uint8
        assert {frame.tobytes() for frame in batch["frames"].numpy().reshape(-1, 1152)} <= known


def test_the_stream_is_a_function_of_the_seed(shards):
    first, same, other = ([b["frames"].numpy() for b in stream(shards, seed=s).take(6)] for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_epochs_differ_in_order_and_files_are_mixed(shards):
    batches = list(stream(shards, batch_size=5).take(22))
    first, second = (
        np.concatenate([b["labels"].numpy() for b in part]) for part in (batches[:11], batches[11:])
    )
    assert not np.array_equal(first, second)
    assert {int(b["position"][-1, 0]) for b in batches[11:]} == {1}


@pytest.mark.parametrize("done", [1, 5, 6, 13, 14, 20])
def test_a_resumed_stream_goes_on_where_it_stopped(shards, done):
    whole = list(stream(shards).take(done + 9))
    epoch, group, offset = (int(value) for value in whole[done - 1]["position"][-1])
    start = Position(epoch=epoch, group=group, offset=offset + 1)
    resumed = list(stream(shards, start=start, start_step=done).take(9))
    for expected, batch in zip(whole[done:], resumed, strict=True):
        for key in expected:
            assert np.array_equal(expected[key], batch[key]), key
