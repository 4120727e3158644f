"""This project's own operations are what TensorFlow's compute, on every kind of processor that this one can be."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer import native
from trainer.native import operations

pytestmark = pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="with a GPU TensorFlow's operations run"
)

WIDTHS = [16, 32, 64]
RATES = {
    "beta1_power": 0.9**3,
    "beta2_power": 0.999**3,
    "lr": 0.1,
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
    st.integers(1, 100),
    st.integers(1, 900),
    st.sampled_from([1, 7, 8, 16, 63, 64, 65, 511, 512, 513, 1100]),
    st.booleans(),
)
def test_adam_of_a_product_is_adam_of_its_gradient(widest, videos, rows, columns, by_row):
    left, right = values((videos, rows), 3), values((videos, columns), 4)
    scale, penalty = 0.3, 0.5
    rates = RATES["lr"] * np.abs(values((rows,), 5)) if by_row else RATES["lr"]
    moved, expected = state(rows, columns), state(rows, columns)
    operations().apply_adam_of_product(
        *(each.handle for each in moved),
        left=left,
        right=right,
        scale=scale,
        penalty=penalty,
        widest=widest,
        **(RATES | {"lr": rates}),
    )
    gradient = scale * (tf.matmul(left, right, transpose_a=True) + penalty * expected[0])
    var, m, v = (each.handle for each in expected)
    before = expected[0].numpy().copy()
    tf.raw_ops.ResourceApplyAdam(var=var, m=m, v=v, grad=gradient, **RATES)
    expected[0].assign(before + (expected[0] - before) * np.reshape(rates / RATES["lr"], (-1, 1)))
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


def test_rates_that_do_not_fit_the_rows_are_refused():
    moved = state(5, 6)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"lr must be \[\] or \[P\] = \[5\]"):
        operations().apply_adam_of_product(
            *(each.handle for each in moved),
            left=values((2, 5), 3),
            right=values((2, 6), 4),
            scale=1.0,
            **(RATES | {"lr": [0.1] * 6}),
        )


FEATURES = st.tuples(st.integers(1, 3), st.integers(1, 70), st.sampled_from([(0, 64), (128, 64), (64, 192)]))


def feature(
    videos: int, frames: int, begin: int, size: int
) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """Bytes of frames, the numbers of a feature, and where it lies."""
    stored = np.random.default_rng(0).integers(0, 256, (videos, frames, 256), np.uint8)
    place = {"begin": begin, "size": size, "origin": -127.5}
    return stored, stored[:, :, begin : begin + size] - 127.5, place


@pytest.mark.parametrize("widest", WIDTHS)
@settings(max_examples=40)
@given(FEATURES, st.integers(1, 20), st.booleans())
def test_frames_by_a_matrix(widest, shape, clusters, is_shared):
    videos, frames, (begin, size) = shape
    stored, numbers, place = feature(videos, frames, begin, size)
    matrix = values((1 if is_shared else videos, clusters, size), 1)
    product = operations().frames_by_matrix(stored, matrix, widest=widest, **place)
    expected = numbers @ matrix.astype(np.float64).transpose(0, 2, 1)
    np.testing.assert_allclose(product, expected, rtol=1e-4, atol=0.01)


@pytest.mark.parametrize("widest", WIDTHS)
@settings(max_examples=40)
@given(FEATURES, st.integers(1, 20))
def test_pooled_frames(widest, shape, clusters):
    videos, frames, (begin, size) = shape
    stored, numbers, place = feature(videos, frames, begin, size)
    weights = values((videos, frames, clusters), 1)
    pooled = operations().pooled_frames(stored, weights, widest=widest, **place)
    expected = weights.astype(np.float64).transpose(0, 2, 1) @ numbers
    np.testing.assert_allclose(pooled, expected, rtol=1e-4, atol=0.01)


@pytest.mark.parametrize("widest", WIDTHS)
def test_scales_of_frames(widest):
    stored, numbers, place = feature(3, 50, 0, 256)
    scales = operations().frame_scales(stored, widest=widest, **place)
    np.testing.assert_allclose(scales, 1 / np.linalg.norm(numbers, axis=-1), rtol=1e-6)
    place["origin"] = 0.0  # of a frame of zeros the norm is 0
    zeros = np.zeros((1, 1, 256), np.uint8)
    np.testing.assert_allclose(operations().frame_scales(zeros, widest=widest, **place), [[1e6]])


def test_without_the_library_there_are_none_and_it_is_said(monkeypatch, caplog):
    monkeypatch.setattr(native, "_LIBRARY", "/nowhere/liboperations.so")
    assert native.operations.__wrapped__() is None
    assert "make setup" in caplog.text


@pytest.mark.parametrize(("begin", "size"), [(0, 320), (256, 64), (-64, 64), (0, 0), (0, 60)])
def test_features_that_frames_do_not_have_are_refused(begin, size):
    stored = np.zeros((2, 3, 256), np.uint8)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Received"):
        operations().frame_scales(stored, begin=begin, size=size, origin=0.0)


def test_factors_that_frames_do_not_fit_are_refused():
    stored, _, place = feature(2, 3, 0, 64)
    for shape in [(2, 3, 65), (3, 3, 64), (3, 64), (1, 0, 64)]:
        with pytest.raises(tf.errors.InvalidArgumentError, match="Received"):
            operations().frames_by_matrix(stored, np.zeros(shape, np.float32), **place)
    for shape in [(2, 4, 5), (1, 3, 5), (2, 3)]:
        with pytest.raises(tf.errors.InvalidArgumentError, match="Received"):
            operations().pooled_frames(stored, np.zeros(shape, np.float32), **place)
