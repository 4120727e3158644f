"""A soft bag of words: how much of each of K visual words a video has, gated by which of them it shows most clearly.

Legend: B videos, T frames, D features of a frame, K words.
"""

import tensorflow as tf

from trainer.model.layers import Weights, matmul
from trainer.model.layers.batch_norm import batch_norm
from trainer.model.training_pass import TrainingPass

_EPSILON = 1e-12


def bag_of_words(
    x: tf.Tensor,
    counts: tf.Tensor | None,
    weights: Weights,
    scope: str,
    training: TrainingPass | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Returns l2(sum_t s[t] * sigmoid(batch_norm(l2(max_t s[t]) @ G1 @ G2))), s[t] = softmax(batch_norm(x[t] @ W)).

    Args:
        x: float32 [B, T, D].
        counts: float32 [B, T], how often a frame counts, 0 for padding; None for once each.
        weights: Holds `<scope>/words/weights` [D, K], `<scope>/bn/*` [K], `<scope>/gate1/weights` [K, D],
            `<scope>/gate2/weights` [D, K], `<scope>/gate/bn/*` [K].
        scope: `video_bag` or `audio_bag`.
        training: In training, takes the statistics of batch normalisation.
        dtype: Type in which the matrix products are computed.

    Returns:
        float32 [B, K] of norm 1.

    Reference: Miech, Laptev & Sivic 2017, https://arxiv.org/abs/1706.06905, section 3.1; Abu-El-Haija et al. 2016,
    https://arxiv.org/abs/1609.08675, section 4.2.
    """
    column = None if counts is None else counts[:, :, tf.newaxis]
    logits = matmul(x, weights[f"{scope}/words/weights"], dtype)  # [B, T, K]
    words = tf.nn.softmax(batch_norm(logits, weights, f"{scope}/bn", training, column))
    counted = words if column is None else words * column
    # Shares are positive, so padding, where they are 0, is never the largest.
    real = words if column is None else words * tf.cast(column > 0.0, tf.float32)
    clearest = tf.math.l2_normalize(tf.reduce_max(real, axis=1), axis=1, epsilon=_EPSILON)  # [B, K]
    gates = matmul(clearest, weights[f"{scope}/gate1/weights"], dtype)  # [B, D]
    gates = batch_norm(
        matmul(gates, weights[f"{scope}/gate2/weights"], dtype), weights, f"{scope}/gate/bn", training
    )
    bag = tf.reduce_sum(counted, axis=1) * tf.sigmoid(gates)
    return tf.math.l2_normalize(bag, axis=1, epsilon=_EPSILON)
