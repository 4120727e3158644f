"""NeXtVLAD: frames widened and split into groups, whose few features are soft-assigned to clusters with an attention.

Legend: B videos, T frames, D features of a frame, E = 2 D expanded features, G groups, K clusters.
"""

import tensorflow as tf

from trainer.model.layers import Weights, matmul
from trainer.model.layers.batch_norm import batch_norm
from trainer.model.layers.dense import dense
from trainer.model.training_pass import TrainingPass

_EPSILON = 1e-12
"""Under which an L2 norm counts as zero (tf.math.l2_normalize's default, as in the authors' code)."""


def next_vlad(
    x: tf.Tensor,
    counts: tf.Tensor | None,
    weights: Weights,
    scope: str,
    training: TrainingPass | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Returns V[d, k] = sum_tg a[t, g] s[t, g, k] (x'[t, g, d] - c[d, k]), normalised by cluster, then by batch.

    x' = x @ We + be is a frame of E features, which are G groups of E / G. a = sigmoid(x' @ Wa + ba) is the attention
    that a group gets, s = softmax over k of batch_norm(x' @ W) its assignment to the clusters.

    Args:
        x: float32 [B, T, D].
        counts: float32 [B, T], how often a frame counts, 0 for padding; None for once each.
        weights: Holds `<scope>/expansion/{weights,biases}` [D, E] and [E], `<scope>/attention/{weights,biases}` [E, G]
            and [G], `<scope>/cluster_weights` [E, G * K] (clusters of a group beside each other), `<scope>/bn/*`
            [G * K], `<scope>/cluster_centers` [1, E / G, K], `<scope>/vlad/bn/*` [E / G * K].
        scope: `video_vlad` or `audio_vlad`.
        training: In training, takes the statistics of batch normalisation.
        dtype: Type in which the matrix products are computed.

    Returns:
        float32 [B, E / G * K], K fastest.

    Reference: Lin, Xiao & Fan 2018, https://arxiv.org/abs/1811.05014, equations 3 to 6.
    """
    centers = tf.convert_to_tensor(weights[f"{scope}/cluster_centers"])  # [1, E / G, K]
    _, size, clusters = centers.shape
    batch, length = tf.shape(x)[0], tf.shape(x)[1]
    column = None if counts is None else counts[:, :, tf.newaxis]
    expanded = dense(x, weights, f"{scope}/expansion", dtype)  # [B, T, E]
    attention = tf.sigmoid(dense(expanded, weights, f"{scope}/attention", dtype))  # [B, T, G]
    if column is not None:
        attention *= column
    groups = attention.shape[-1]
    logits = matmul(expanded, weights[f"{scope}/cluster_weights"], dtype)  # [B, T, G * K]
    logits = batch_norm(logits, weights, f"{scope}/bn", training, column)
    assignment = tf.nn.softmax(tf.reshape(logits, [batch, length * groups, clusters]))
    assignment *= tf.reshape(attention, [batch, length * groups, 1])
    features = tf.reshape(expanded, [batch, length * groups, size])
    weighted = tf.matmul(tf.cast(features, dtype), tf.cast(assignment, dtype), transpose_a=True)
    vlad = tf.cast(weighted, tf.float32) - tf.reduce_sum(assignment, axis=1, keepdims=True) * centers
    vlad = tf.math.l2_normalize(vlad, axis=1, epsilon=_EPSILON)  # [B, E / G, K]
    return batch_norm(tf.reshape(vlad, [batch, size * clusters]), weights, f"{scope}/vlad/bn", training)
