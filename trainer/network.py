"""Gated NetVLAD, from 8-bit frames to class probabilities.

Legend: B videos, T frames, D features of a frame, K clusters, H hidden size, V classes.
"""

import tensorflow as tf

from trainer.layers import Moments, Weights, matmul
from trainer.layers.batch_norm import batch_norm
from trainer.layers.context_gating import context_gating
from trainer.layers.mixture_of_experts import mixture_of_experts
from trainer.layers.net_vlad import net_vlad
from trainer.yt8m import RGB_SIZE


def dequantize(frames: tf.Tensor) -> tf.Tensor:
    """uint8 [..., D] -> float32 [..., D] in about [-2, 2], each frame of L2 norm 1 over all D values.

    x * (4 / 255) + (4 / 512 - 2) is the code that YouTube-8M's features are stored in.
    """
    values = tf.cast(frames, tf.float32) * (4.0 / 255.0) + (4.0 / 512.0 - 2.0)
    return tf.math.l2_normalize(values, axis=-1, epsilon=1e-12)


def gated_net_vlad(
    frames: tf.Tensor,
    mask: tf.Tensor | None,
    weights: Weights,
    moments: Moments | None = None,
    dtype: tf.DType = tf.float32,
    dropout: tuple[float, tf.Tensor] | None = None,
) -> tf.Tensor:
    """Probabilities of the V classes for each video.

    Args:
        frames: float32 [B, T, D], as `dequantize` gives them, rgb before audio.
        mask: float32 [B, T], 1 for a real frame and 0 for padding; None when every frame is real. A padding
            frame contributes nothing, and a video's row depends on no other row (in inference).
        weights: The 32 tensors of `Variant.tensor_specs`.
        moments: None in inference; in training, an empty dictionary that receives the batch's statistics.
        dtype: Of the matrix products: tf.float32, or tf.bfloat16 / tf.float16 for mixed precision.
        dropout: In training, the share of gated hidden units to drop, and a seed int64 [2].

    Returns:
        float32 [B, V] in [0, 1].

    Reference: the paper, section 2.1; Miech, Laptev & Sivic 2017, https://arxiv.org/abs/1706.06905.
    """
    video = net_vlad(frames[:, :, :RGB_SIZE], mask, weights, "video_vlad", moments, dtype)
    audio = net_vlad(frames[:, :, RGB_SIZE:], mask, weights, "audio_vlad", moments, dtype)
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
