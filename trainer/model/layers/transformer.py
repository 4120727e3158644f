"""A transformer's encoder layer, layer normalisation, and the places of frames in a video.

Legend: B videos, T frames, H width, A heads, F width of the feed-forward layer.
"""

import math

import tensorflow as tf

from trainer.model.layers import Weights
from trainer.model.layers.dense import dense
from trainer.model.training_pass import TrainingPass

_EPSILON = 1e-6
_PLACES = 300.0
"""A video's frames stand at places from 0 to so much, whatever their number."""
_LONGEST_WAVE = 10_000.0


def layer_norm(x: tf.Tensor, weights: Weights, scope: str) -> tf.Tensor:
    """Returns gamma * (x - mean) / sqrt(variance + 1e-6) + beta over the last dimension.

    Args:
        x: float32 [..., H].
        weights: Holds `<scope>/gamma` and `<scope>/beta`, each [H].
        scope: Name prefix of both.

    Returns:
        float32, the shape of x.

    Reference: Ba, Kiros & Hinton 2016, https://arxiv.org/abs/1607.06450.
    """
    mean, variance = tf.nn.moments(x, axes=[-1], keepdims=True)
    normal = (x - mean) * tf.math.rsqrt(variance + _EPSILON)
    return normal * weights[f"{scope}/gamma"] + weights[f"{scope}/beta"]


def places(counts: tf.Tensor, width: int) -> tf.Tensor:
    """Sines and cosines of where in its video each frame stands: the share of the video before its middle, times 300.

    A share, and not a number of frames, since training draws some of a video's frames and inference takes all.

    Args:
        counts: float32 [B, T], how often a frame counts, 0 for padding.
        width: H, even.

    Returns:
        float32 [B, T, H]: H / 2 sines, then H / 2 cosines, of wave lengths from 2 pi to 20,000 pi.

    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.5.
    """
    total = tf.reduce_sum(counts, axis=1, keepdims=True)
    place = _PLACES * (tf.cumsum(counts, axis=1) - 0.5 * counts) / total  # [B, T]
    waves = tf.exp(tf.range(width // 2, dtype=tf.float32) * (-2.0 * math.log(_LONGEST_WAVE) / width))
    angles = place[:, :, tf.newaxis] * waves
    return tf.concat([tf.sin(angles), tf.cos(angles)], axis=2)


def encoder_layer(
    x: tf.Tensor,
    counts: tf.Tensor,
    weights: Weights,
    scope: str,
    heads: int,
    training: TrainingPass | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Computes x + attention(norm(x)), then x + feed_forward(norm(x)), with dropout on what is added.

    A frame that counts n times is attended to as n frames are, padding is not. The feed-forward layer is
    relu(x @ F1 + b1) @ F2 + b2.

    Args:
        x: float32 [B, T, H].
        counts: float32 [B, T], how often a frame counts, 0 for padding.
        weights: Holds `<scope>/{query_key_value,attention,expand,contract}/{weights,biases}` of [H, 3 H], [H, H],
            [H, F], [F, H], and `<scope>/norm{1,2}/{gamma,beta}` [H].
        scope: Beginning of the names of the weights.
        heads: A, a divisor of H.
        training: Drops units in training; None in inference.
        dtype: Type in which the matrix products are computed.

    Returns:
        float32 [B, T, H].

    Reference: Vaswani et al. 2017, section 3; norms before the layers: Xiong et al. 2020,
    https://arxiv.org/abs/2002.04745.
    """

    def dropped(values: tf.Tensor) -> tf.Tensor:
        return values if training is None else training.dropout(values)

    normal = layer_norm(x, weights, f"{scope}/norm1")
    three = dense(normal, weights, f"{scope}/query_key_value", dtype)  # [B, T, 3 H]
    attended = _attention(three, counts, heads, dtype)
    x += dropped(dense(attended, weights, f"{scope}/attention", dtype))
    normal = layer_norm(x, weights, f"{scope}/norm2")
    inner = tf.nn.relu(dense(normal, weights, f"{scope}/expand", dtype))
    return x + dropped(dense(inner, weights, f"{scope}/contract", dtype))


def _attention(three: tf.Tensor, counts: tf.Tensor, heads: int, dtype: tf.DType) -> tf.Tensor:
    """softmax(q k^T / sqrt(H / A) + log(counts)) v [B, T, H] of queries, keys and values side by side [B, T, 3 H]."""
    batch, length, width = tf.shape(three)[0], tf.shape(three)[1], three.shape[-1] // 3
    split = tf.cast(tf.reshape(three, [batch, length, 3, heads, width // heads]), dtype)
    query, key, value = tf.unstack(tf.transpose(split, [2, 0, 3, 1, 4]), num=3)  # [B, A, T, H / A]
    logits = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) / math.sqrt(width // heads)
    # Of padding so little that exp makes 0 of it.
    often = tf.where(counts > 0.0, tf.math.log(tf.maximum(counts, 1e-30)), -1e30)
    shares = tf.nn.softmax(logits + often[:, tf.newaxis, tf.newaxis, :])  # [B, A, T, T]
    mixed = tf.cast(tf.matmul(tf.cast(shares, dtype), value), tf.float32)
    return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch, length, width])
