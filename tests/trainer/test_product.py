"""The laws of gradients as two factors, with this project's own operations and with TensorFlow's."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import TrainingConfig
from trainer.optimizer import Adam
from trainer.product import Factors, Product

SHAPES = st.tuples(st.integers(1, 90), st.integers(1, 90))


def values(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def factors(left: np.ndarray, right: np.ndarray, kernel: np.ndarray | None = None) -> Factors:
    along = 0.0 if kernel is None else np.sum((left.T @ right) * kernel)
    return Factors(tf.constant(left), tf.constant(right), tf.constant(along, tf.float32))


@pytest.mark.parametrize("shape", [(70, 8), (8, 70)])
def test_a_product_and_its_gradients_are_those_of_the_kernel(shape):
    value, x, weight = values(shape), tf.constant(values((5, shape[0]), 1)), values((5, shape[1]), 2)
    kernel = tf.Variable(value)
    stand_in = Product(kernel)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(tf.square(stand_in.product(x)) * weight)
    to_x, to_output = tape.gradient(loss, [x, stand_in.output])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(tf.square(x @ kernel) * weight)
    expected_x, expected_kernel = tape.gradient(loss, [x, kernel])
    np.testing.assert_allclose(to_x, expected_x, rtol=1e-4, atol=1e-4)
    gradient = Factors.of(stand_in, to_output)
    np.testing.assert_allclose(
        tf.transpose(gradient.left) @ gradient.right, expected_kernel, rtol=1e-4, atol=1e-4
    )
    assert float(gradient.along) == pytest.approx(float(tf.reduce_sum(expected_kernel * value)), rel=1e-3)


@settings(max_examples=100)
@given(st.integers(1, 20), SHAPES, st.floats(0, 1e4), st.booleans())
def test_the_norm_of_a_gradient_is_that_of_its_product(videos, shape, common, centred):
    left, right = values((videos, shape[0])) + np.float32(common), values((videos, shape[1]), 1)
    if centred:  # what comes back through a batch normalisation
        right -= right.mean(axis=0)
    exact = np.sum((left.astype(np.float64).T @ right.astype(np.float64)) ** 2)
    # Of the size of what must not cancel: rows without what they have in common.
    scale = np.sum(((left - left.mean(axis=0)).astype(np.float64).T @ right) ** 2)
    assert float(factors(left, right).square()) == pytest.approx(
        exact, rel=1e-3, abs=1e-3 * scale + 1e-6 * common
    )


@pytest.mark.usefixtures("both_kinds")
@pytest.mark.parametrize("limit", [1e-2, 1e4])
@pytest.mark.parametrize("shape", [(70, 8), (8, 70)])
def test_an_update_by_factors_is_that_of_the_whole_gradient(shape, limit):
    value, left, right = values(shape), values((4, shape[0]), 1), values((4, shape[1]), 2)
    penalty = 0.5
    config = TrainingConfig(gradient_clip_norm=limit, l2_penalty=penalty, learning_rate=0.01)
    one, other = tf.Variable(value), tf.Variable(value)
    by_factors = Adam({"w": one}, config, ["w"])
    at_once = Adam({"w": other}, config)
    for step in range(3):
        current = other.numpy()
        first = by_factors.apply({"w": factors(left, right, current)}, tf.constant(step, tf.int64))
        gradient = tf.constant(left.T @ right + penalty * current)
        second = at_once.apply({"w": gradient}, tf.constant(step, tf.int64))
        assert float(first) == pytest.approx(float(second), rel=1e-4)
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        for slot in ("w/m", "w/v"):
            expected = at_once.slots[slot].numpy()
            np.testing.assert_allclose(
                by_factors.slots[slot].numpy(), expected, rtol=1e-3, atol=1e-6 * np.abs(expected).max()
            )
