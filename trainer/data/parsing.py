"""Frames of requests as numbers.

Legend: B videos, T frames.
"""

import tensorflow as tf

from trainer.data.yt8m import AUDIO_SIZE, RGB_SIZE


def decode_frames(rgb: tf.Tensor, audio: tf.Tensor) -> tf.Tensor:
    """Byte strings [B, T] of both features to uint8 [B, T, 1152]; an empty string becomes zeros."""
    return tf.concat(
        [
            tf.io.decode_raw(rgb, tf.uint8, fixed_length=RGB_SIZE),
            tf.io.decode_raw(audio, tf.uint8, fixed_length=AUDIO_SIZE),
        ],
        axis=-1,
    )
