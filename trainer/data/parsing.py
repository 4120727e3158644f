"""The frames of requests as bytes in a tensor.

Legend: B videos, T frames.
"""

import tensorflow as tf

from trainer.data.yt8m import AUDIO_SIZE, RGB_SIZE


def decode_frames(rgb: tf.Tensor, audio: tf.Tensor) -> tf.Tensor:
    """Turns byte strings of both features, string [B, T], into uint8 [B, T, 1152]; an empty string becomes zeros."""
    return tf.concat(
        [
            tf.io.decode_raw(rgb, tf.uint8, fixed_length=RGB_SIZE),
            tf.io.decode_raw(audio, tf.uint8, fixed_length=AUDIO_SIZE),
        ],
        axis=-1,
    )
