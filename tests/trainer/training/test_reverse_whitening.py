"""The laws of reverse whitening: rows that learn at rates of their own learn what scaled features would teach."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.model.test_product import factors, values
from trainer.model.model_spec import ModelSpec
from trainer.model.reverse_whitening import row_factors
from trainer.model.tensor_spec import AUDIO_SIZE, FRAME_ROWS, RGB_SIZE, FeatureRows, TensorSpec
from trainer.model.weights import initial_weights, shrunk
from trainer.training.config import TrainingConfig
from trainer.training.optimizer import Adam
from trainer.training.step import TrainingStep

CONFIG = TrainingConfig(learning_rate=0.01, gradient_clip_norm=1e6)


def test_factors_fall_along_each_feature_as_the_equation_says():
    tensor = TensorSpec(
        name="w",
        shape=(2 * RGB_SIZE + AUDIO_SIZE + 3, 4),
        feature_rows=(FeatureRows(RGB_SIZE, 2), *FRAME_ROWS[1:]),
    )
    found = row_factors(tensor, 0.6)
    assert found.shape == (tensor.shape[0],)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[-3:], 1)
    rgb, audio = found[: 2 * RGB_SIZE].reshape(-1, 2), found[2 * RGB_SIZE : -3]
    np.testing.assert_array_equal(rgb[:, 0], rgb[:, 1])
    for part in (rgb[:, 0], audio):
        assert np.mean(part.astype(float) ** 2) == pytest.approx(1)
        places = np.arange(part.size) / part.size
        np.testing.assert_allclose(part / part[0], (1 + 16 * places) ** (-0.9 * 0.6), rtol=1e-5)
    assert row_factors(tensor, 0.0) is None
    assert row_factors(TensorSpec(name="w", shape=(RGB_SIZE, 4)), 0.6) is None


@pytest.mark.usefixtures("both_kinds")
@pytest.mark.parametrize("shape", [(70, 8), (8, 70)])
@pytest.mark.parametrize("as_factors", [True, False])
def test_rates_by_row_teach_what_scaled_features_would(shape, as_factors):
    start, scale = values(shape), np.abs(values(shape[:1], 5)) + 0.1
    by_rows = tf.Variable(start * scale[:, np.newaxis])
    on_scaled = tf.Variable(start)
    adams = [
        Adam({"w": by_rows}, CONFIG, row_factors={"w": scale, "other": None}),
        Adam({"w": on_scaled}, CONFIG),
    ]
    for step in range(4):
        left, right = values((6, shape[0]), 10 + step), values((6, shape[1]), 20 + step)
        for adam, features in zip(adams, (left, left * scale), strict=True):
            gradient = factors(features, right) if as_factors else tf.constant(features.T @ right)
            adam.apply({"w": gradient}, tf.constant(step, tf.int64))
        np.testing.assert_allclose(by_rows, on_scaled * scale[:, np.newaxis], rtol=1e-3, atol=1e-4)


def test_training_starts_smaller_and_learns_slower_where_features_say_less():
    spec = ModelSpec.parse("MLP-H9", 7)
    config = TrainingConfig(reverse_whitening=0.6, learning_rate=0.01, frames_per_video=6)
    expected = row_factors(spec.tensors[0], 0.6)[:, np.newaxis]
    plain, scaled = initial_weights(spec, 0), initial_weights(spec, 0, 0.6)
    np.testing.assert_allclose(scaled["hidden/weights"], plain["hidden/weights"] * expected, rtol=1e-6)
    for name in plain.keys() - {"hidden/weights"}:
        np.testing.assert_array_equal(plain[name], scaled[name])

    step = TrainingStep(spec, config)
    step.run(
        {
            "frames": np.random.default_rng(2).integers(0, 256, (4, 6, 1152), np.uint8),
            "counts": np.ones((4, 6), np.float32),
            "labels": np.eye(4, 7, dtype=bool),
        },
        0,
    )
    # Adam's first step has the size of the rate.
    change = np.abs(step.weights()["hidden/weights"] - scaled["hidden/weights"])
    np.testing.assert_allclose(np.median(change, axis=1), 0.01 * expected[:, 0], rtol=0.02)


def test_weights_that_are_shrunk_are_blended_with_such_as_training_starts_from():
    spec = ModelSpec.parse("MLP-H9", 7)
    trained = {name: np.zeros_like(value) for name, value in initial_weights(spec, 1).items()}
    blend = shrunk(spec, trained, 0.5, 0, 0.6)
    np.testing.assert_array_equal(
        blend["hidden/weights"], 0.5 * initial_weights(spec, 0, 0.6)["hidden/weights"]
    )
