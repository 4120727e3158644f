"""What must hold for any weights: padding, order of the frames and neighbours in the batch do not matter."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.model.features import StoredFeature
from trainer.model.frames import as_stored, dequantize
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import check_weights, initial_weights
from trainer.training.loss import cross_entropy

CLASSES = 30
SPEC = ModelSpec.parse("K3-H8", CLASSES)


@pytest.fixture(scope="module")
def weights():
    generator = np.random.default_rng(1)
    weights = initial_weights(SPEC, 0)
    for spec in SPEC.tensors:
        if "/bn/" in spec.name:  # As after training: no statistic is at its initial value.
            weights[spec.name] = generator.uniform(0.5, 1.5, spec.shape).astype(np.float32)
    return weights


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(2).integers(0, 256, (4, 7, 1152), np.uint8)


def predict(weights, frames, counts):
    once = tf.sequence_mask(counts, frames.shape[1], tf.float32)
    return SPEC.architecture.forward(dequantize(frames), once, weights).numpy()


def test_dequantize_is_the_code_of_the_data_set():
    frames = np.zeros((1, 1, 1152), np.uint8)
    frames[0, 0, 0] = 255
    low, high = 4 / 512 - 2, 4 + 4 / 512 - 2
    norm = np.sqrt(high**2 + 1151 * low**2)
    rgb, audio, scale, _ = dequantize(frames)
    values = np.concatenate([rgb.values, audio.values], axis=-1)[0, 0] * scale.numpy()[0, 0]
    assert values[0] == pytest.approx(high / norm)
    assert values[1] == pytest.approx(low / norm)
    assert np.linalg.norm(values) == pytest.approx(1.0)


def test_frames_as_stored_are_multiplied_as_the_numbers_that_they_stand_for(frames):
    weights = np.random.default_rng(0).standard_normal((4, 7, 3), np.float32)
    matrix = np.random.default_rng(1).standard_normal((1024, 3), np.float32)
    results = []
    assert isinstance(as_stored(frames).rgb, StoredFeature)
    for made in (as_stored(frames), dequantize(frames)):
        with tf.GradientTape() as tape:
            sides = tf.constant(matrix), tf.constant(matrix[:128]), tf.constant(weights)
            tape.watch(sides)
            both = [
                (part.by_matrix(side, tf.float32), part.pooled(sides[2], tf.float32))
                for part, side in ((made.rgb, sides[0]), (made.audio, sides[1]))
            ]
            loss = sum(tf.reduce_sum(tf.square(each)) for pair in both for each in pair)
        results.append(tf.nest.flatten([made.scale, both, tape.gradient(loss, sides)]))
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(other).max())


@pytest.mark.parametrize("shape", [(0, 3, 1152), (2, 0, 1152)])
def test_no_frames_are_none_as_stored(shape):
    empty = as_stored(tf.zeros(shape, tf.uint8))
    assert isinstance(empty.rgb, StoredFeature)
    assert empty.rgb.by_matrix(tf.zeros([1024, 2]), tf.float32).shape == (*shape[:2], 2)
    np.testing.assert_array_equal(
        empty.audio.pooled(tf.zeros([*shape[:2], 2]), tf.float32), np.zeros((shape[0], 2, 128))
    )


def test_predictions_are_probabilities(weights, frames):
    result = predict(weights, frames, [7, 7, 7, 7])
    assert result.shape == (4, CLASSES)
    assert result.min() >= 0
    assert result.max() <= 1


def test_padding_changes_nothing_whatever_is_in_it(weights, frames):
    short = predict(weights, frames[:, :5], [5, 5, 5, 5])
    padded = predict(weights, frames, [5, 5, 5, 5])
    np.testing.assert_allclose(padded, short, atol=1e-6)


def test_the_order_of_frames_does_not_matter(weights, frames):
    order = np.random.default_rng(3).permutation(7)
    full = [7, 7, 7, 7]
    np.testing.assert_allclose(
        predict(weights, frames[:, order], full), predict(weights, frames, full), atol=1e-6
    )


def test_a_video_does_not_see_its_neighbours(weights, frames):
    counts = [1, 7, 3, 5]
    together = predict(weights, frames, counts)
    for row, count in enumerate(counts):
        alone = predict(weights, frames[row : row + 1, :count], [count])
        np.testing.assert_allclose(together[row : row + 1], alone, atol=1e-6)


def test_repeating_a_video_s_frames_changes_nothing(weights, frames):
    once = predict(weights, frames[:, :3], [3, 3, 3, 3])
    twice = predict(weights, np.concatenate([frames[:, :3]] * 2, axis=1), [6, 6, 6, 6])
    np.testing.assert_allclose(twice, once, atol=1e-5)


def test_cross_entropy_by_hand():
    probabilities = tf.constant([[0.5, 0.25], [0.9, 0.1]])
    labels = tf.constant([[True, False], [True, True]])
    first = np.log(0.5 + 1e-5) + np.log(0.75 + 1e-5)
    second = np.log(0.9 + 1e-5) + np.log(0.1 + 1e-5)
    assert float(cross_entropy(probabilities, labels)) == pytest.approx(-(first + second) / 2)


def test_initial_weights_are_a_function_of_the_seed():
    first, same, other = (initial_weights(SPEC, seed) for seed in (5, 5, 6))
    assert all(np.array_equal(first[name], same[name]) for name in first)
    assert not np.array_equal(first["hidden1/weights"], other["hidden1/weights"])
    spread = initial_weights(ModelSpec.parse("K8-H64", CLASSES), 0)["hidden1/weights"].std()
    assert spread == pytest.approx(1 / np.sqrt(1024 * 8 + 128 * 4), rel=0.01)


def test_weights_that_do_not_fit_are_named():
    weights = initial_weights(SPEC, 0)
    check_weights(SPEC, weights)
    with pytest.raises(ValueError, match="experts/biases is missing"):
        check_weights(SPEC, {k: v for k, v in weights.items() if k != "experts/biases"})
    with pytest.raises(ValueError, match="stray is not a tensor"):
        check_weights(SPEC, weights | {"stray": np.zeros(1)})
    with pytest.raises(ValueError, match=r"hidden2/biases must have shape \(16,\). Received: \(3,\)"):
        check_weights(SPEC, weights | {"hidden2/biases": np.zeros(3)})
