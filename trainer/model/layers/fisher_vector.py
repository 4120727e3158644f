"""Fisher vectors: how a video's frames differ from K clusters, in mean and in variance.

Legend: B videos, T frames, D features of a frame, K clusters.
"""

import tensorflow as tf

from trainer.model.layers import Weights, matmul
from trainer.model.layers.batch_norm import batch_norm
from trainer.model.training_pass import TrainingPass

_EPSILON = 1e-12
_SMALLEST_VARIANCE = 1e-6


def fisher_vector(
    x: tf.Tensor,
    counts: tf.Tensor | None,
    weights: Weights,
    scope: str,
    training: TrainingPass | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Residuals and squared residuals to K centres, soft-assigned and summed over the frames.

    With a = softmax(batch_norm(x @ W)) over the clusters, centres c and sigma = w^2 + 1e-6,

        first[d, k]  = sum_t a[t, k] (x[t, d] - c[d, k]) / sigma[d, k]
        second[d, k] = sum_t a[t, k] ((x[t, d] - c[d, k])^2 / sigma[d, k]^2 - 1)

    each of norm 1 over d, flattened, and of norm 1 again.

    Args:
        x: float32 [B, T, D].
        counts: float32 [B, T], how often a frame counts, 0 for padding; None for once each.
        weights: Holds `<scope>/cluster_weights` [D, K], `<scope>/bn/*` [K], `<scope>/cluster_centers` [D, K],
            `<scope>/deviations` [D, K], the w.
        scope: `video_fv` or `audio_fv`.
        training: In training, takes the statistics of batch normalisation.
        dtype: Type in which the matrix products are computed.

    Returns:
        float32 [B, 2 * D * K]: first, then second, each with K fastest.

    Reference: Miech, Laptev & Sivic 2017, https://arxiv.org/abs/1706.06905, section 3.1; Perronnin & Dance 2007.
    """
    column = None if counts is None else counts[:, :, tf.newaxis]
    logits = matmul(x, weights[f"{scope}/cluster_weights"], dtype)  # [B, T, K]
    assignment = tf.nn.softmax(batch_norm(logits, weights, f"{scope}/bn", training, column))
    if column is not None:
        assignment *= column
    centers = tf.convert_to_tensor(weights[f"{scope}/cluster_centers"])
    sigma = tf.square(weights[f"{scope}/deviations"]) + _SMALLEST_VARIANCE
    total = tf.reduce_sum(assignment, axis=1, keepdims=True)  # [B, 1, K]
    assigned = tf.cast(assignment, dtype)
    sums = [
        tf.cast(tf.matmul(tf.cast(values, dtype), assigned, transpose_a=True), tf.float32)
        for values in (x, tf.square(x))
    ]  # [B, D, K]
    first = (sums[0] - total * centers) / sigma
    second = (sums[1] - 2.0 * centers * sums[0] + tf.square(centers) * total) / tf.square(sigma) - total
    return tf.concat([_unit(first), _unit(second)], axis=1)


def _unit(x: tf.Tensor) -> tf.Tensor:
    """[B, D, K] of norm 1 over D, then flattened and of norm 1."""
    x = tf.math.l2_normalize(x, axis=1, epsilon=_EPSILON)
    flat = tf.reshape(x, [tf.shape(x)[0], x.shape[1] * x.shape[2]])
    return tf.math.l2_normalize(flat, axis=1, epsilon=_EPSILON)
