"""Mixup: training on blends of two videos, so that the model does not learn a small data set by heart.

Legend: B videos, T frames, V classes.
"""

import tensorflow as tf

from trainer.model.frames import Frames, normalized


def repeated(frames: tf.Tensor, counts: tf.Tensor, length: int) -> tf.Tensor:
    """Repeats each frame as often as it counts, so that the frames of two videos can be blended one by one.

    Args:
        frames: uint8 [B, T, D].
        counts: float32 [B, T] of whole numbers; each row's sum is `length`.
        length: Number of frames of each video in the result.

    Returns:
        uint8 [B, length, D], in the order of `frames`.
    """
    ends = tf.cumsum(counts, axis=1)
    middles = tf.broadcast_to(tf.range(length, dtype=tf.float32) + 0.5, [tf.shape(frames)[0], length])
    return tf.gather(frames, tf.searchsorted(ends, middles), batch_dims=1)


def mixup(frames: Frames, labels: tf.Tensor, alpha: float, seed: tf.Tensor) -> tuple[Frames, tf.Tensor]:
    """Blends each video with the one at the mirrored place of the (shuffled) batch.

    Args:
        frames: The frames of B videos, from `dequantize`.
        labels: float32 [B, V].
        alpha: Strength of the blending, above 0: the larger share of a blend is max(s, 1 - s) with s drawn from
            Beta(alpha, alpha).
        seed: Seed of the draws, int64 [2].

    Returns:
        Blended frames, of norm 1 again (dequantized, they have the blend of both norms), and blended labels.

    Reference: Zhang, Cisse, Dauphin & Lopez-Paz 2018, https://arxiv.org/abs/1710.09412.
    """
    draws = tf.random.stateless_gamma([tf.shape(labels)[0], 2], seed=seed, alpha=alpha)  # [B, 2]
    share = draws[:, 0] / tf.maximum(tf.reduce_sum(draws, axis=1), 1e-30)
    share = tf.maximum(share, 1.0 - share)[:, tf.newaxis]  # [B, 1]: a video stays the most of itself
    labels = share * labels + (1.0 - share) * labels[::-1]
    own = (share * frames.scale)[:, :, tf.newaxis]
    other = ((1.0 - share) * frames.scale[::-1])[:, :, tf.newaxis]
    rgb, audio = (own * part.values + other * part.values[::-1] for part in (frames.rgb, frames.audio))
    norms = frames.unit / frames.scale  # of the dequantized frames, [B, T]
    blended = normalized(rgb, audio)
    return blended._replace(unit=blended.scale * (share * norms + (1.0 - share) * norms[::-1])), labels
