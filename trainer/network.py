"""Gated NetVLAD, from 8-bit frames to class probabilities.

Legend: B videos, T frames, D features of a frame, K clusters, H hidden size, V classes.
"""

from typing import NamedTuple

import tensorflow as tf

from trainer.features import ORIGIN, DecodedFeature, Feature, StoredFeature
from trainer.layers import Moments, Weights, matmul
from trainer.layers.batch_norm import batch_norm
from trainer.layers.context_gating import context_gating
from trainer.layers.mixture_of_experts import mixture_of_experts
from trainer.layers.net_vlad import net_vlad
from trainer.native import operations
from trainer.yt8m import AUDIO_SIZE, FRAME_SIZE, RGB_SIZE


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


def dequantize(frames: tf.Tensor) -> Frames:
    """uint8 [B, T, 1152], rgb before audio, as numbers: q * (4 / 255) + (4 / 512 - 2), each frame scaled to norm 1."""
    # Split while a value is one byte. The factor 4 / 255 falls out of the norm, so it is left out from the start.
    rgb, audio = frames[:, :, :RGB_SIZE], frames[:, :, RGB_SIZE:]
    return normalized(tf.cast(rgb, tf.float32) + ORIGIN, tf.cast(audio, tf.float32) + ORIGIN)


def as_stored(frames: tf.Tensor) -> Frames:
    """The same without the numbers in memory, where there are operations for that: models may not leave with them."""
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


def gated_net_vlad(
    frames: Frames,
    counts: tf.Tensor | None,
    weights: Weights,
    moments: Moments | None = None,
    dtype: tf.DType = tf.float32,
    dropout: tuple[float, tf.Tensor] | None = None,
) -> tf.Tensor:
    """Probabilities of the V classes for each video.

    Args:
        frames: As `dequantize` or `as_stored` give them.
        counts: float32 [B, T], how often a frame counts: 1 for a real frame and 0 for padding, more for one that
            was drawn several times; None for once each. What counts 0 contributes nothing, and a video's row depends
            on no other row (in inference).
        weights: The 32 tensors of `Variant.tensor_specs`.
        moments: None in inference; in training, an empty dictionary that receives the batch's statistics.
        dtype: Of the matrix products: tf.float32, or tf.bfloat16 / tf.float16 for mixed precision.
        dropout: In training, the share of gated hidden units to drop, and a seed int64 [2].

    Returns:
        float32 [B, V] in [0, 1].

    Reference: the paper, section 2.1; Miech, Laptev & Sivic 2017, https://arxiv.org/abs/1706.06905.
    """
    video = net_vlad(frames.rgb, frames.scale, counts, weights, "video_vlad", moments, dtype)
    audio = net_vlad(frames.audio, frames.scale, counts, weights, "audio_vlad", moments, dtype)
    vlad = tf.concat([video, audio], axis=1)  # [B, 1024 * K + 128 * (K // 2)]
    hidden = matmul(vlad, weights["hidden1/weights"], dtype)
    # The paper says ReLU; the released code, whose checkpoints we load, clips at 6.
    hidden = tf.nn.relu6(batch_norm(hidden, weights, "hidden1/bn", moments))  # [B, H]
    hidden = matmul(hidden, weights["hidden2/weights"], dtype) + weights["hidden2/biases"]  # [B, 2H]
    hidden = context_gating(hidden, weights, "gating", moments, dtype)
    if dropout is not None:
        rate, seed = dropout
        hidden = tf.nn.experimental.stateless_dropout(hidden, rate, seed)
    probabilities = mixture_of_experts(hidden, weights, dtype)  # [B, V]
    return context_gating(probabilities, weights, "gating_prob", moments, dtype)
