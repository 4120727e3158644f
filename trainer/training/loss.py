"""The training loss.

Legend: B videos, V classes.
"""

import tensorflow as tf

_EPSILON = 1e-5
"""Keeps the logarithms finite; the authors' value."""


def cross_entropy(probabilities: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the binary cross-entropy summed over the classes and averaged over the batch.

    Args:
        probabilities: The model's answers, float32 [B, V] in [0, 1].
        labels: The targets, bool [B, V]; float32 in [0, 1] where labels are blended.

    Returns:
        float32 [], 0 or more.
    """
    labels = tf.cast(labels, tf.float32)
    positive = labels * tf.math.log(probabilities + _EPSILON)
    negative = (1.0 - labels) * tf.math.log(1.0 - probabilities + _EPSILON)
    return -tf.reduce_mean(tf.reduce_sum(positive + negative, axis=1))
