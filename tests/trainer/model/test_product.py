"""The laws of gradients as two factors, with this project's own operations and with TensorFlow's."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.model.layers import matmul
from trainer.model.product import Factors, Product
from trainer.training.config import TrainingConfig
from trainer.training.optimizer import Adam

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
    to_x, (to_output,) = tape.gradient(loss, [x, stand_in.sources])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(tf.square(x @ kernel) * weight)
    expected_x, expected_kernel = tape.gradient(loss, [x, kernel])
    np.testing.assert_allclose(to_x, expected_x, rtol=1e-4, atol=1e-4)
    gradient = stand_in.gradient([to_output])
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


P, Q = 6, 5
_KERNEL = values((P, Q))


def _loop(kernel, x):
    """A recurrent use: within tf.while_loop, a step's output is part of the next one's input."""

    def step(place, state):
        state = tf.concat([tf.tanh(matmul(state, kernel)), x[:, :1]], axis=1)
        return place + 1, tf.ensure_shape(state, [None, P])

    return tf.while_loop(lambda place, state: place < 3, step, [tf.constant(0), x])[1]


USES = {
    "rows": lambda kernel, x: matmul(x, kernel),
    "frames": lambda kernel, x: matmul(tf.stack([x, 2.0 * x, x - 1.0], axis=1), kernel),
    "frames under each other": lambda kernel, x: matmul(tf.tile(x, [2000, 1]), kernel),
    "one video": lambda kernel, x: matmul(x[0], kernel),
    "of rank 4": lambda kernel, x: matmul(tf.stack(3 * [tf.stack([x, -x], axis=1)], axis=2), kernel),
    "loop": _loop,
    "branch": lambda kernel, x: tf.cond(x[0, 0] < 0.5, lambda: matmul(x, kernel), lambda: matmul(-x, kernel)),
    "transposed": lambda kernel, x: x[:, :Q] @ tf.transpose(kernel),
    "sliced": lambda kernel, x: x[:, :2] @ kernel[1:3],
    "gathered": lambda kernel, x: tf.gather(kernel, [0, 3, 3]),
    "operators": lambda kernel, x: 2.0 * kernel - kernel / 3.0 + (1.0 - kernel) ** 2 + abs(-kernel),
    "right of @": lambda kernel, x: x @ kernel,
    "left of @": lambda kernel, x: kernel @ x[:, :Q][:Q],
}


def _gradient_of_uses(uses, kernel, x, stand_in):
    """The gradient, its product with the kernel, and its squared norm."""
    with tf.GradientTape() as tape:
        used = Product(kernel) if stand_in else kernel
        loss = tf.add_n([tf.reduce_sum(tf.square(USES[use](used, x)) * 0.01) for use in uses])
    if stand_in:
        gradient = used.gradient(tape.gradient(loss, used.sources))
        if isinstance(gradient, Factors):
            return tf.matmul(*gradient[:2], transpose_a=True), gradient.along, gradient.square()
    else:
        gradient = tf.convert_to_tensor(tape.gradient(loss, kernel))
    return gradient, tf.reduce_sum(gradient * kernel), tf.reduce_sum(gradient**2)


@settings(max_examples=25)
@given(st.lists(st.sampled_from(sorted(USES)), min_size=1, max_size=6), st.integers(Q, 9), st.booleans())
def test_however_a_kernel_is_used_its_gradient_is_the_plain_one(uses, videos, eager):
    kernel, x = tf.Variable(_KERNEL), tf.constant(values((videos, P), 1))

    def gradient(stand_in):
        return _gradient_of_uses(uses, kernel, x, stand_in)

    found = gradient if eager else tf.function(gradient, autograph=False)
    for one, expected in zip(found(True), gradient(False), strict=True):
        np.testing.assert_allclose(one, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_one_row_a_video_stays_factors_also_when_used_twice():
    kernel, x = tf.Variable(_KERNEL), tf.constant(values((4, P), 1))
    product = Product(kernel)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(product.product(x))) + tf.reduce_sum(product.product(2.0 * x[:3]))
    gradient = product.gradient(tape.gradient(loss, product.sources))
    assert isinstance(gradient, Factors)
    assert gradient.left.shape == (7, P)


def test_a_kernel_that_the_loss_does_not_depend_on_has_a_gradient_of_zeros():
    product = Product(tf.Variable(_KERNEL))
    with tf.GradientTape() as tape:
        product.product(tf.ones([2, P]))
        loss = tf.constant(1.0)
    assert not np.any(product.gradient(tape.gradient(loss, product.sources)))


def test_the_penalty_is_on_kernels_whose_gradient_is_a_tensor_too():
    value, gradient, penalty = values((8, 7)), values((8, 7), 1), 0.5
    config = TrainingConfig(gradient_clip_norm=1.0, l2_penalty=penalty, learning_rate=0.01)
    one, other = tf.Variable(value), tf.Variable(value)
    Adam({"w": one}, config, ["w"]).apply({"w": tf.constant(gradient)}, tf.constant(0, tf.int64))
    Adam({"w": other}, config).apply({"w": tf.constant(gradient + penalty * value)}, tf.constant(0, tf.int64))
    np.testing.assert_allclose(one, other, rtol=1e-5)


_ON_TWO_REPLICAS = """
import numpy as np
import trainer
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.trainer.model.test_product import P, Q, USES, values
from trainer.model.product import Factors, Product

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    kernel = tf.Variable(values((P, Q)))
shares = [tf.constant(values((videos, P), videos)) for videos in (7, 5)]
x = strategy.experimental_distribute_values_from_function(lambda c: shares[c.replica_id_in_sync_group])
for uses, is_factors in ((["rows", "rows"], True), (["frames"], False), (["rows", "transposed", "loop"], False)):

    def loss_of(kernel, x):
        return tf.add_n([tf.reduce_sum(tf.square(USES[use](kernel, x)) * 0.01) for use in uses])

    def replica(x):
        context = tf.distribute.get_replica_context()
        product = Product(kernel)
        with tf.GradientTape() as tape:
            loss = loss_of(product, x)
        gradient = product.gradient(tape.gradient(loss, product.sources))
        assert isinstance(gradient, Factors) == is_factors
        if is_factors:
            gradient = gradient.gathered(context)
            whole = tf.matmul(gradient.left, gradient.right, transpose_a=True)
            tf.debugging.assert_near(gradient.square(), tf.reduce_sum(whole**2), rtol=1e-3)
            return whole
        return context.all_reduce(tf.distribute.ReduceOp.SUM, gradient)

    plain = tf.Variable(values((P, Q)))
    with tf.GradientTape() as tape:
        loss = tf.add_n([loss_of(plain, share) for share in shares])
    expected = tape.gradient(loss, plain)
    found = tf.function(lambda: strategy.run(replica, args=(x,)), autograph=False)()
    for one in strategy.experimental_local_results(found):
        np.testing.assert_allclose(one, expected, rtol=1e-3, atol=1e-4)
"""


@pytest.mark.slow
def test_gradients_of_replicas_with_batches_of_different_sizes_add_up():
    """On two logical CPU devices, in a process of its own because devices are fixed at start."""
    subprocess.run([sys.executable, "-c", _ON_TWO_REPLICAS], check=True, timeout=300)
