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
        labels: The targets, bool [B, V]; float32 in [0, 1] where labels are blended, with each other or with a teacher.

    Returns:
        float32 [], 0 or more.
    """
    labels = tf.cast(labels, tf.float32)
    positive = labels * tf.math.log(probabilities + _EPSILON)
    negative = (1.0 - labels) * tf.math.log(1.0 - probabilities + _EPSILON)
    return -tf.reduce_mean(tf.reduce_sum(positive + negative, axis=1))


def smoothed(targets: tf.Tensor, share: float) -> tf.Tensor:
    """Spreads a share of each video's targets evenly over all classes; the sum of its targets stays.

    Args:
        targets: float32 [B, V] in [0, 1].
        share: From 0, which changes nothing, to 1.

    Returns:
        float32 [B, V].

    Reference: Szegedy et al. 2016, section 7, https://arxiv.org/abs/1512.00567, there for one label.
    """
    if not share:
        return targets
    return (1.0 - share) * targets + share * tf.reduce_mean(targets, axis=1, keepdims=True)
