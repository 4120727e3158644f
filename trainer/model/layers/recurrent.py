"""Recurrent layers: a state that is carried from frame to frame.

Legend: B videos, T frames, P width of the input, H width of the state.
"""

from collections.abc import Callable

import tensorflow as tf

from trainer.model.layers import Weights, matmul
from trainer.model.layers.dense import dense
from trainer.model.product import matrix_product

_State = tuple[tf.Tensor, ...]


def gru(
    x: tf.Tensor, real: tf.Tensor | None, weights: Weights, scope: str, dtype: tf.DType = tf.float32
) -> tf.Tensor:
    """Computes gated recurrent units: h = u * h' + (1 - u) * tanh(x @ Wc + (r * h') @ Uc + bc).

    The gates are r, u = sigmoid(x @ W + h' @ U + b); h' is the state before, 0 at first.

    Args:
        x: float32 [B, T, P].
        real: bool [B, T]: False for padding, which leaves the state as it is; None for all real.
        weights: Holds `<scope>/inputs/weights` [P, 3 H] (r, u, candidate), `<scope>/gates/weights` [H, 2 H] and
            `<scope>/gates/biases`, `<scope>/candidate/weights` [H, H] and `<scope>/candidate/biases`.
        scope: Beginning of the names of the weights.
        dtype: Type in which the matrix products are computed.

    Returns:
        float32 [B, T, H]: the state after each frame; the last is that after all real frames.

    Reference: Cho et al. 2014, https://arxiv.org/abs/1406.1078.
    """
    # Outside of the loop: a product of all frames, and kernels that are read once.
    inputs = matmul(x, weights[f"{scope}/inputs/weights"], dtype)  # [B, T, 3 H]
    gates, candidate = (
        (
            tf.convert_to_tensor(weights[f"{scope}/{part}/weights"]),
            tf.convert_to_tensor(weights[f"{scope}/{part}/biases"]),
        )
        for part in ("gates", "candidate")
    )
    size = candidate[1].shape[0]

    def step(state: _State, x: tf.Tensor) -> _State:
        (before,) = state
        to_gates, to_candidate = tf.split(x, [2 * size, size], axis=1)
        both = tf.sigmoid(to_gates + matrix_product(before, gates[0], dtype) + gates[1])
        reset, update = tf.split(both, 2, axis=1)
        new = tf.tanh(to_candidate + matrix_product(reset * before, candidate[0], dtype) + candidate[1])
        return (update * before + (1.0 - update) * new,)

    return _over_frames(step, inputs, real, sizes=(size,))


def lstm(
    x: tf.Tensor, real: tf.Tensor | None, weights: Weights, scope: str, dtype: tf.DType = tf.float32
) -> tf.Tensor:
    """Computes long short-term memory: c = sigmoid(f + 1) * c' + sigmoid(i) * tanh(g), h = sigmoid(o) * tanh(c).

    i, g, f, o = x @ W + h' @ U + b; h' and c' are the states before, 0 at first.

    Args:
        x: float32 [B, T, P].
        real: bool [B, T]: False for padding, which leaves the states as they are; None for all real.
        weights: Holds `<scope>/inputs/{weights,biases}` [P, 4 H] and [4 H], `<scope>/recurrent/weights` [H, 4 H].
        scope: Beginning of the names of the weights.
        dtype: Type in which the matrix products are computed.

    Returns:
        float32 [B, T, H]: h after each frame; the last is that after all real frames.

    Reference: Hochreiter & Schmidhuber 1997; the 1 of the forget gate: Jozefowicz et al. 2015.
    """
    inputs = dense(x, weights, f"{scope}/inputs", dtype)  # [B, T, 4 H]
    kernel = tf.convert_to_tensor(weights[f"{scope}/recurrent/weights"])
    size = kernel.shape[0]

    def step(state: _State, x: tf.Tensor) -> _State:
        before, cell = state
        entry, new, forget, output = tf.split(x + matrix_product(before, kernel, dtype), 4, axis=1)
        cell = tf.sigmoid(forget + 1.0) * cell + tf.sigmoid(entry) * tf.tanh(new)
        return tf.sigmoid(output) * tf.tanh(cell), cell

    return _over_frames(step, inputs, real, sizes=(size, size))


def _over_frames(
    step: Callable[[_State, tf.Tensor], _State],
    inputs: tf.Tensor,
    real: tf.Tensor | None,
    sizes: tuple[int, ...],
) -> tf.Tensor:
    """The first state [B, T, H] after each frame of inputs [B, T, Q]; all states are zeros at first."""
    batch, length = tf.shape(inputs)[0], tf.shape(inputs)[1]
    if real is None:
        real = tf.ones([batch, length], tf.bool)

    def masked(state: _State, frame: tuple[tf.Tensor, tf.Tensor]) -> _State:
        x, is_real = frame
        after = step(state, x)
        return tuple(
            tf.where(is_real[:, tf.newaxis], new, old) for new, old in zip(after, state, strict=True)
        )

    frames = (tf.transpose(inputs, [1, 0, 2]), tf.transpose(real))  # frame by frame
    states = tf.scan(masked, frames, tuple(tf.zeros([batch, size]) for size in sizes))
    return tf.transpose(states[0], [1, 0, 2])
