"""Kernels in blocks, and the laws of gradients as two factors."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.config import TrainingConfig
from trainer.frame_memory import ALIGNMENT
from trainer.kernel import Factors, Kernel, Product
from trainer.optimizer import Adam
from trainer.snapshots import write_tensors
from trainer.tensors import as_tensor

SHAPES = st.tuples(st.integers(1, 90), st.integers(1, 90))


def values(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def factors(left: np.ndarray, right: np.ndarray, kernel: np.ndarray | None = None) -> Factors:
    along = 0.0 if kernel is None else np.sum((left.T @ right) * kernel)
    return Factors(tf.constant(left), tf.constant(right), tf.constant(along, tf.float32))


@settings(max_examples=50)
@given(SHAPES, st.integers(100, 20_000))
def test_a_kernel_is_its_blocks(shape, block_bytes):
    value = values(shape)
    kernel = Kernel(value, block_bytes)
    assert kernel.shape == shape
    np.testing.assert_array_equal(kernel.numpy(), value)
    np.testing.assert_array_equal(tf.convert_to_tensor(kernel), value)
    lengths = [block.shape[kernel.axis] for block in kernel.blocks]
    assert sum(lengths) == max(shape)
    # Whole cache lines, and no power of two between rows.
    assert all(length % 32 == 16 for length in lengths[:-1])
    assert all(4 * min(shape) * (length - 32) < block_bytes for length in lengths)
    kernel.assign(-value)
    np.testing.assert_array_equal(kernel.numpy(), -value)


@pytest.mark.parametrize("shape", [(70, 8), (8, 70)])
def test_products_and_their_gradients_are_those_of_the_whole_kernel(shape):
    value, x, weight = values(shape), tf.constant(values((5, shape[0]), 1)), values((5, shape[1]), 2)
    product = Product(Kernel(value, 700))
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(tf.square(product.product(x)) * weight)
    to_x, to_output = tape.gradient(loss, [x, product.output])
    whole = tf.Variable(value)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(tf.square(x @ whole) * weight)
    expected_x, expected_kernel = tape.gradient(loss, [x, whole])
    np.testing.assert_allclose(to_x, expected_x, rtol=1e-4, atol=1e-4)
    gradient = Factors.of(product, to_output)
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


@pytest.mark.parametrize("limit", [1e-2, 1e4])
@pytest.mark.parametrize("shape", [(70, 8), (8, 70)])
def test_an_update_by_blocks_is_that_of_the_whole_gradient(shape, limit):
    value, left, right = values(shape), values((4, shape[0]), 1), values((4, shape[1]), 2)
    penalty = 0.5
    config = TrainingConfig(gradient_clip_norm=limit, l2_penalty=penalty, learning_rate=0.01)
    blocks, whole = Kernel(value, 700), tf.Variable(value)
    assert len(blocks.blocks) > 1
    by_blocks = Adam({"w": blocks}, config, ["w"])
    at_once = Adam({"w": whole}, config)
    for step in range(3):
        current = whole.numpy()
        first = by_blocks.apply({"w": factors(left, right, current)}, tf.constant(step, tf.int64))
        gradient = tf.constant(left.T @ right + penalty * current)
        second = at_once.apply({"w": gradient}, tf.constant(step, tf.int64))
        assert float(first) == pytest.approx(float(second), rel=1e-4)
        np.testing.assert_allclose(blocks.numpy(), whole, rtol=1e-4, atol=1e-5)
        for slot in ("w/m", "w/v"):
            expected = at_once.slots[slot].numpy()
            np.testing.assert_allclose(
                by_blocks.slots[slot].numpy(), expected, rtol=1e-3, atol=1e-6 * np.abs(expected).max()
            )


@pytest.mark.parametrize("shape", [(70, 8), (8, 70)])
def test_a_checkpoint_has_the_whole_kernel(shape, tmp_path):
    kernel = Kernel(values(shape), 700)
    write_tensors(str(tmp_path / "state"), {"w": kernel, "b": np.ones(3, np.float32)})
    reader = tf.train.load_checkpoint(str(tmp_path / "state"))
    assert reader.get_variable_to_shape_map() == {"w": list(shape), "b": [3]}
    np.testing.assert_array_equal(reader.get_tensor("w"), kernel.numpy())


def test_aligned_arrays_become_tensors_without_a_copy():
    memory = np.zeros(1000 + ALIGNMENT, np.uint8)
    array = memory[-memory.ctypes.data % ALIGNMENT :][:1000].reshape(10, 100)
    tensor = as_tensor(array)
    array[3, 4] = 5
    assert tensor.shape == (10, 100)
    assert tensor[3, 4] == 5


def test_other_arrays_are_copied():
    memory = np.zeros(1000 + 2 * ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    aligned = memory[begin:][:1000]
    fixed = aligned.view()
    fixed.flags.writeable = False
    for array in (memory[begin + 1 :][:1000], aligned[::2], aligned.astype(bool), fixed, np.empty((0, 3))):
        tensor = as_tensor(array)
        assert tensor.dtype == tf.as_dtype(array.dtype)
        np.testing.assert_array_equal(tensor, array)
