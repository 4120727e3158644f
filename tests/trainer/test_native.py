"""This project's own operations are what TensorFlow's compute, on every kind of processor that this one can be."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.native import operations
from trainer.network import dequantize, dequantize_in_one_pass

WIDTHS = [16, 32, 64]
RATES = {
    "beta1_power": 0.9**3,
    "beta2_power": 0.999**3,
    "lr": 1e-3,
    "beta1": 0.9,
    "beta2": 0.999,
    "epsilon": 1e-8,
}


def values(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def state(rows: int, columns: int) -> list[tf.Variable]:
    """A matrix with Adam's moments: not of a cache line's boundary but for its first row."""
    shape = (rows, columns)
    return [tf.Variable(value) for value in (values(shape, 0), values(shape, 1), np.square(values(shape, 2)))]


@pytest.mark.parametrize("widest", WIDTHS)
@settings(max_examples=40)
@given(
    st.integers(1, 100), st.integers(1, 900), st.sampled_from([1, 7, 8, 16, 63, 64, 65, 511, 512, 513, 1100])
)
def test_adam_of_a_product_is_adam_of_its_gradient(widest, videos, rows, columns):
    left, right = values((videos, rows), 3), values((videos, columns), 4)
    scale, penalty = 0.3, 0.5
    moved, expected = state(rows, columns), state(rows, columns)
    operations().apply_adam_of_product(
        *(each.handle for each in moved),
        left=left,
        right=right,
        scale=scale,
        penalty=penalty,
        widest=widest,
        **RATES,
    )
    gradient = scale * (tf.matmul(left, right, transpose_a=True) + penalty * expected[0])
    var, m, v = (each.handle for each in expected)
    tf.raw_ops.ResourceApplyAdam(var=var, m=m, v=v, grad=gradient, **RATES)
    for one, other in zip(moved, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_adam_of_a_product_leaves_a_tensor_that_was_read_as_it_was():
    moved = state(5, 5)
    before = moved[0].read_value()
    copy = before.numpy().copy()
    arguments = {"left": values((2, 5), 3), "right": values((2, 5), 4), "scale": 1.0}
    operations().apply_adam_of_product(*(each.handle for each in moved), **arguments, **RATES)
    np.testing.assert_array_equal(before, copy)
    assert not np.array_equal(moved[0], copy)


@pytest.mark.parametrize(
    ("left", "right", "scale"),
    [
        ((2, 5), (3, 6), 1.0),
        ((2, 4), (2, 6), 1.0),
        ((2, 5), (2, 7), 1.0),
        ((5,), (2, 6), 1.0),
        ((2, 5), (2, 6), [1.0]),
    ],
)
def test_factors_that_do_not_fit_are_refused_and_change_nothing(left, right, scale):
    moved = state(5, 6)
    before = [each.numpy() for each in moved]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Received"):
        operations().apply_adam_of_product(
            *(each.handle for each in moved),
            left=values(left, 3),
            right=values(right, 4),
            scale=scale,
            **RATES,
        )
    for one, other in zip(moved, before, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("widest", WIDTHS)
@settings(max_examples=40)
@given(st.integers(1, 140), st.integers(1, 2200), st.floats(-10, 10))
def test_centered_gram_is_that_of_the_literal_formula(widest, rows, columns, common):
    matrix = values((rows, columns), 0) + np.float32(common)
    exact = matrix.astype(np.float64)
    mean = exact.mean(axis=0, keepdims=True)
    centered = exact - mean
    gram, along, mean_square = operations().centered_gram(matrix, widest=widest)
    np.testing.assert_allclose(gram, centered @ centered.T, rtol=1e-4, atol=1e-5 * columns)
    # Sums of numbers of any sign: as exact as float32 is of what is summed.
    np.testing.assert_allclose(along, (centered @ mean.T)[:, 0], atol=1e-5 * columns * (1 + abs(common)) ** 2)
    np.testing.assert_allclose(mean_square, np.sum(mean**2), rtol=1e-4)


def test_centered_gram_is_the_same_to_the_bit_each_time():
    matrix = tf.constant(values((80, 9000), 0))
    first, *others = (operations().centered_gram(matrix) for _ in range(20))
    for other in others:
        for one, again in zip(first, other, strict=True):
            np.testing.assert_array_equal(one, again)


@pytest.mark.parametrize("shape", [(0, 3, 1152), (2, 0, 1152), (3, 5, 1152)])
def test_dequantizing_in_one_pass_is_the_same(shape):
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    for one, other in zip(dequantize_in_one_pass(frames), dequantize(frames), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("widest", WIDTHS)
@settings(max_examples=20)
@given(st.integers(0, 200), st.integers(0, 200))
def test_frames_of_any_size_are_dequantized(widest, rgb_size, audio_size):
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, rgb_size + audio_size), np.uint8)
    rgb, audio, scale = operations().dequantize_frames(
        frames, rgb_size=rgb_size, origin=-127.0, widest=widest
    )
    exact = frames - 127.0
    np.testing.assert_array_equal(rgb, exact[:, :, :rgb_size])
    np.testing.assert_array_equal(audio, exact[:, :, rgb_size:])
    norm = np.sqrt(np.maximum(np.sum(exact**2, axis=-1), 1e-12))
    np.testing.assert_allclose(scale, 1 / norm, rtol=1e-5)


def test_frames_that_do_not_fit_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Received"):
        operations().dequantize_frames(np.zeros((2, 3, 5), np.uint8), rgb_size=6, origin=0.0)
