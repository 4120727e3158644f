"""Batch normalisation over every dimension but the last."""

import tensorflow as tf

from trainer.model.layers import Weights
from trainer.model.training_pass import TrainingPass

EPSILON = 1e-3
"""Added to the variance; the authors' value."""


def batch_norm(
    x: tf.Tensor,
    weights: Weights,
    scope: str,
    training: TrainingPass | None = None,
    counts: tf.Tensor | None = None,
) -> tf.Tensor:
    """Returns gamma * (x - mean) / sqrt(variance + 0.001) + beta.

    Args:
        x: float32 [..., C].
        weights: Holds `<scope>/{beta,gamma,moving_mean,moving_variance}`, each [C].
        scope: Name prefix of the four tensors.
        training: In training, its `moments` receive the batch's mean and variance under the names of the moving ones,
            and the batch's are used. None in inference, where the moving ones are used.
        counts: float32, the shape of x but for the last dimension, which is 1: how often each value counts in the
            batch's statistics; None for once.

    Returns:
        float32, the shape of x.

    Reference: Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167.
    """
    if training is None:
        mean, variance = weights[f"{scope}/moving_mean"], weights[f"{scope}/moving_variance"]
    else:
        mean, variance = _moments(x, counts)
        training.moments[f"{scope}/moving_mean"] = mean
        training.moments[f"{scope}/moving_variance"] = variance
    # Folded into one multiply and one add a value: the width is small, x is not.
    scale = tf.convert_to_tensor(weights[f"{scope}/gamma"]) * tf.math.rsqrt(variance + EPSILON)
    return x * scale + (weights[f"{scope}/beta"] - mean * scale)


def _moments(x: tf.Tensor, counts: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and (biased) variance [C] over all dimensions but the last."""
    axes = list(range(x.shape.rank - 1))
    if counts is None:
        return tf.nn.moments(x, axes=axes)
    share = counts / tf.reduce_sum(counts)
    mean = tf.reduce_sum(share * x, axis=axes)
    return mean, tf.reduce_sum(share * tf.math.squared_difference(x, mean), axis=axes)
