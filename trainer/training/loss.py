"""The training loss.

Legend: B videos, V classes.
"""

import tensorflow as tf

_EPSILON = 1e-5
"""Keeps the logarithms finite; the authors' value."""


def cross_entropy(probabilities: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy summed over the classes and averaged over the batch.

    Args:
        probabilities: float32 [B, V].
        labels: bool [B, V], or float32 in [0, 1] where they are blended.

    Returns:
        float32 scalar.
    """
    labels = tf.cast(labels, tf.float32)
    positive = labels * tf.math.log(probabilities + _EPSILON)
    negative = (1.0 - labels) * tf.math.log(1.0 - probabilities + _EPSILON)
    return -tf.reduce_mean(tf.reduce_sum(positive + negative, axis=1))
