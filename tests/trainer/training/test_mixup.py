"""Blends of two videos."""

import numpy as np
import tensorflow as tf

from trainer.model.frames import normalized
from trainer.training.mixup import mixup, repeated


def test_a_blend_lies_between_its_two_videos_and_nearer_to_its_own():
    frames, labels = _videos()
    mixed, soft = mixup(frames, labels, 1.0, tf.constant([1, 2], tf.int64))
    blended = (
        tf.concat([mixed.rgb.values, mixed.audio.values], axis=-1) * mixed.scale[:, :, tf.newaxis]
    ).numpy()
    np.testing.assert_allclose(np.linalg.norm(blended, axis=-1), 1, rtol=1e-6)
    for row in range(4):
        own, other = soft[row, row], soft[row, 3 - row]
        assert 0.5 <= own <= 1
        np.testing.assert_allclose(own + other, 1, rtol=1e-6)
        expected = np.zeros(4)
        expected[row], expected[3 - row] = own, other
        np.testing.assert_allclose(soft[row], expected, atol=1e-6)
        np.testing.assert_allclose(blended[row, 0], expected / np.linalg.norm(expected), atol=1e-6)


def test_blends_are_a_function_of_the_seed():
    frames, labels = _videos()
    first, same, other = (mixup(frames, labels, 0.5, tf.constant([1, s], tf.int64))[1] for s in (2, 2, 3))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_frames_are_there_as_often_as_they_count():
    frames = tf.reshape(tf.range(2 * 3 * 2), [2, 3, 2])
    result = repeated(frames, tf.constant([[1.0, 3.0, 0.0], [2.0, 1.0, 1.0]]), 4)
    assert result[:, :, 0].numpy().tolist() == [[0, 2, 2, 2], [6, 6, 8, 10]]


def _videos():
    """Four videos of one frame, all at right angles, two of them sound alone."""
    rows = tf.eye(4)[:, tf.newaxis, :] * tf.reshape([1.0, 2.0, 3.0, 4.0], [4, 1, 1])
    return normalized(rows[:, :, :2], rows[:, :, 2:]), tf.eye(4)
