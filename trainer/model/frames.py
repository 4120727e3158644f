"""Frames of videos as numbers, from the 8-bit code that they are stored in.

Legend: B videos, T frames, D features of a frame (rgb before audio).
"""

from typing import NamedTuple

import tensorflow as tf

from trainer.data.yt8m import AUDIO_SIZE, FRAME_SIZE, RGB_SIZE
from trainer.model.features import ORIGIN, DecodedFeature, Feature, StoredFeature
from trainer.native import operations


class Frames(NamedTuple):
    """Frames of videos before their normalisation, which is carried along as a factor a frame.

    The frames are by far the largest tensors of the network, and every pass over them counts: the factor goes into
    the small results of the products with them.
    """

    rgb: Feature
    """[B, T, 1024]."""
    audio: Feature
    """[B, T, 128]."""
    scale: tf.Tensor
    """float32 [B, T]: what makes the L2 norm of a frame, rgb and audio together, 1."""

    def values(self) -> tf.Tensor:
        """float32 [B, T, 1152]: the frames, each of L2 norm 1 (padding is not zero: it has to be counted out)."""
        return tf.concat([self.rgb.decoded(), self.audio.decoded()], axis=2) * self.scale[:, :, tf.newaxis]

    def mean(self, counts: tf.Tensor | None = None) -> tf.Tensor:
        """float32 [B, 1152]: the mean of a video's frames, each of L2 norm 1.

        Args:
            counts: float32 [B, T], how often a frame counts, 0 for padding; None for once each.
        """
        shares = self.scale
        if counts is None:
            shares /= tf.cast(tf.shape(shares)[1], tf.float32)
        else:
            shares *= counts / tf.reduce_sum(counts, axis=1, keepdims=True)
        shares = shares[:, :, tf.newaxis]
        parts = [part.pooled(shares, tf.float32) for part in (self.rgb, self.audio)]  # [B, 1, 1024 or 128]
        return tf.squeeze(tf.concat(parts, axis=2), axis=1)


def dequantize(frames: tf.Tensor) -> Frames:
    """uint8 [B, T, 1152], rgb before audio, as numbers: q * (4 / 255) + (4 / 512 - 2), each frame scaled to norm 1."""
    # Split while a value is one byte. The factor 4 / 255 falls out of the norm, so it is left out from the start.
    rgb, audio = frames[:, :, :RGB_SIZE], frames[:, :, RGB_SIZE:]
    return normalized(tf.cast(rgb, tf.float32) + ORIGIN, tf.cast(audio, tf.float32) + ORIGIN)


def as_stored(frames: tf.Tensor) -> Frames:
    """What `dequantize` gives, with frames that stay bytes in memory where this project's own operations are there.

    For training and scoring alone: a SavedModel must load where these operations are not.
    """
    native = operations()
    if not native:
        return dequantize(frames)
    return Frames(
        StoredFeature(frames, 0, RGB_SIZE),
        StoredFeature(frames, RGB_SIZE, AUDIO_SIZE),
        native.frame_scales(frames, begin=0, size=FRAME_SIZE, origin=ORIGIN),
    )


def normalized(rgb: tf.Tensor, audio: tf.Tensor) -> Frames:
    """Frames of float32 [B, T, 1024] and [B, T, 128]; one of zeros stays zeros."""
    squares = sum(tf.square(tf.math.reduce_euclidean_norm(part, axis=-1)) for part in (rgb, audio))
    return Frames(DecodedFeature(rgb), DecodedFeature(audio), tf.math.rsqrt(tf.maximum(squares, 1e-12)))
