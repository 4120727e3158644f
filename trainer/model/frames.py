"""Turns the frames of videos from the 8-bit code that they are stored in into numbers.

Legend: B videos, T frames, D features of a frame (rgb before audio).
"""

from typing import NamedTuple

import tensorflow as tf

from trainer.data.yt8m import AUDIO_SIZE, CODE_SCALE, FRAME_SIZE, RGB_SIZE
from trainer.model.features import ORIGIN, DecodedFeature, Feature, StoredFeature
from trainer.native import operations


class Frames(NamedTuple):
    """Frames of videos with the factor of each frame that normalises it.

    The frames are by far the largest tensors of the network, and every pass over them counts. So the
    small results of products with frames are multiplied with the factors, and not the frames themselves.
    """

    rgb: Feature
    """The visual feature, [B, T, 1024]."""
    audio: Feature
    """The audio feature, [B, T, 128]."""
    scale: tf.Tensor
    """float32 [B, T]: the factor by which the L2 norm of a frame, rgb and audio together, becomes 1."""
    unit: tf.Tensor | float = CODE_SCALE
    """float32 [B, T], or one number: the factor that makes a frame the dequantized one, from -2 to 2."""

    def values(self) -> tf.Tensor:
        """Returns the frames, each of L2 norm 1: float32 [B, T, 1152]. Padding is not zero: leave it out by counts."""
        return tf.concat([self.rgb.decoded(), self.audio.decoded()], axis=2) * self.scale[:, :, tf.newaxis]

    def parts(self, normalised: bool = True) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns rgb and audio of `values` or of the dequantised frames: float32 [B, T, 1024] and [B, T, 128]."""
        factor = self.scale if normalised else tf.broadcast_to(self.unit, tf.shape(self.scale))
        rgb, audio = (part.decoded() * factor[:, :, tf.newaxis] for part in (self.rgb, self.audio))
        return rgb, audio

    def mean(self, counts: tf.Tensor | None = None) -> tf.Tensor:
        """Returns the mean of each video's frames, each of L2 norm 1: float32 [B, 1152].

        Args:
            counts: float32 [B, T], how often each frame counts, 0 for padding; None when each counts once.
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
    """Turns bytes into numbers, each frame with the factor that makes its norm 1.

    Args:
        frames: uint8 [B, T, 1152], rgb before audio, in the code of `trainer.data.yt8m.CODE_SCALE`.
    """
    # Split while a value is one byte. The factor 4 / 255 falls out of the norm, so it is left out from the start.
    rgb, audio = frames[:, :, :RGB_SIZE], frames[:, :, RGB_SIZE:]
    return normalized(tf.cast(rgb, tf.float32) + ORIGIN, tf.cast(audio, tf.float32) + ORIGIN)


def as_stored(frames: tf.Tensor) -> Frames:
    """Returns the same frames as `dequantize`, which stay bytes in memory where this project's operations are compiled.

    Use it for training and scoring only: a SavedModel must load where these operations do not exist.

    Args:
        frames: uint8 [B, T, 1152], as for `dequantize`.
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
    """Makes frames of norm 1 from numbers. A frame of zeros stays zeros.

    Args:
        rgb: float32 [B, T, 1024].
        audio: float32 [B, T, 128].
    """
    squares = sum(tf.square(tf.math.reduce_euclidean_norm(part, axis=-1)) for part in (rgb, audio))
    return Frames(DecodedFeature(rgb), DecodedFeature(audio), tf.math.rsqrt(tf.maximum(squares, 1e-12)))
