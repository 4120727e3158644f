"""NetVLAD: one vector a video from any number of frames.

Legend: B videos, T frames, D features of a frame, K clusters.
"""

import tensorflow as tf

from trainer.model.features import Feature
from trainer.model.layers import Weights
from trainer.model.layers.batch_norm import batch_norm
from trainer.model.training_pass import TrainingPass

_EPSILON = 1e-12
"""Under which an L2 norm counts as zero (tf.math.l2_normalize's default, as in the authors' code)."""


def net_vlad(
    feature: Feature,
    scale: tf.Tensor,
    counts: tf.Tensor | None,
    weights: Weights,
    scope: str,
    training: TrainingPass | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Returns the sum over frames of the soft-assigned residuals to K centres, normalised by cluster and as a whole.

    V[d, k] = sum_t a[t, k] * (x[t, d] - c[d, k]), with a = softmax(batch_norm(x @ W)) over the clusters: the
    paper's equation 2. The residuals are never built: the sum splits into x^T a and (sum_t a) * c.

    Args:
        feature: [B, T, D].
        scale: float32 [B, T]: x[t] is scale[t] * feature[t].
        counts: float32 [B, T], how often a frame counts, 0 for padding; None for once each.
        weights: Holds `<scope>/cluster_weights` [D, K], `<scope>/bn/*` [K], `<scope>/cluster_centers` [1, D, K].
        scope: `video_vlad` or `audio_vlad`.
        training: In training, takes the statistics of batch normalisation.
        dtype: Type in which the matrix products are computed.

    Returns:
        float32 [B, D * K] of norm 1, K fastest (the layout of the authors' hidden layer).

    Reference: Arandjelovic et al. 2016, https://arxiv.org/abs/1511.07247.
    """
    activation = (
        feature.by_matrix(weights[f"{scope}/cluster_weights"], dtype) * scale[:, :, tf.newaxis]
    )  # [B, T, K]
    column = None if counts is None else counts[:, :, tf.newaxis]
    assignment = tf.nn.softmax(batch_norm(activation, weights, f"{scope}/bn", training, column))
    if column is not None:
        assignment *= column
    weighted = feature.pooled(assignment * scale[:, :, tf.newaxis], dtype)  # [B, K, D]
    total = tf.reduce_sum(assignment, axis=1)[:, :, tf.newaxis]  # [B, K, 1]
    vlad = weighted - total * tf.transpose(weights[f"{scope}/cluster_centers"], [0, 2, 1])
    vlad = tf.transpose(tf.math.l2_normalize(vlad, axis=2, epsilon=_EPSILON), [0, 2, 1])  # [B, D, K]
    flat = tf.reshape(vlad, [-1, feature.size * vlad.shape[-1]])
    return tf.math.l2_normalize(flat, axis=1, epsilon=_EPSILON)
