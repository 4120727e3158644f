"""Batch normalisation over every dimension but the last."""

import tensorflow as tf

from trainer.layers import Moments, Weights

EPSILON = 1e-3
"""Added to the variance; the authors' value."""


def batch_norm(x: tf.Tensor, weights: Weights, scope: str, moments: Moments | None = None) -> tf.Tensor:
    """gamma * (x - mean) / sqrt(variance + 0.001) + beta.

    Args:
        x: float32 [..., C].
        weights: Holds `<scope>/{beta,gamma,moving_mean,moving_variance}`, each [C].
        scope: Name prefix of the four tensors.
        moments: In training, receives the batch's mean and variance under the names of the moving ones, and the
            batch's are used. None in inference, where the moving ones are used.

    Returns:
        float32, the shape of x.

    Reference: Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167.
    """
    if moments is None:
        mean, variance = weights[f"{scope}/moving_mean"], weights[f"{scope}/moving_variance"]
    else:
        mean, variance = tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))
        moments[f"{scope}/moving_mean"] = mean
        moments[f"{scope}/moving_variance"] = variance
    # Folded into one multiply and one add a value: the width is small, x is not.
    scale = tf.convert_to_tensor(weights[f"{scope}/gamma"]) * tf.math.rsqrt(variance + EPSILON)
    return x * scale + (weights[f"{scope}/beta"] - mean * scale)
