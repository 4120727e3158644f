"""Mixup: training on blends of two videos, so that a small data set is not learnt by heart.

Legend: B videos, T frames, D features of a frame, V classes.
"""

import tensorflow as tf


def mixup(frames: tf.Tensor, labels: tf.Tensor, alpha: float, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Blends each video with the one at the mirrored place of the (shuffled) batch.

    Args:
        frames: float32 [B, T, D], each frame of norm 1.
        labels: float32 [B, V].
        alpha: The larger share of a blend is max(s, 1 - s) with s from Beta(alpha, alpha).
        seed: int64 [2].

    Returns:
        Blended frames, of norm 1 again, and blended labels.

    Reference: Zhang, Cisse, Dauphin & Lopez-Paz 2018, https://arxiv.org/abs/1710.09412.
    """
    draws = tf.random.stateless_gamma([tf.shape(frames)[0], 2], seed=seed, alpha=alpha)  # [B, 2]
    share = draws[:, 0] / tf.maximum(tf.reduce_sum(draws, axis=1), 1e-30)
    share = tf.maximum(share, 1.0 - share)[:, tf.newaxis]  # [B, 1]: a video stays the most of itself
    labels = share * labels + (1.0 - share) * labels[::-1]
    share = share[:, :, tf.newaxis]
    blend = share * frames + (1.0 - share) * frames[::-1]
    return tf.math.l2_normalize(blend, axis=-1, epsilon=1e-12), labels
