"""Gated deep bag of frames, written DBoF-Kx-Hy: a soft bag of K visual words, before a gated mixture of experts.

Legend: B videos, T frames, D features of a frame, K words, H hidden size, V classes, M mixtures.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.base.sized_name import size
from trainer.data.yt8m import AUDIO_SIZE, FRAME_SIZE, NUM_MIXTURES, RGB_SIZE
from trainer.model.architectures.architecture import Architecture
from trainer.model.tensor_spec import (
    FeatureRows,
    TensorSpec,
    batch_norm_specs,
    dense_specs,
    gated_experts_specs,
    hidden_layer_specs,
)

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.model.frames import Frames
    from trainer.model.layers import Weights
    from trainer.model.training_pass import TrainingPass


@dataclass(frozen=True)
class Dbof(Architecture):
    """p = gated_experts(relu6(batch_norm([video bag, audio bag] @ W))), W [K + K // 8, H].

    The bags (see `trainer.model.layers.bag_of_words`) have K words of video and K // 8 of audio.
    `trainer.model.layers.gated_experts` has what follows the hidden layer.

    >>> Dbof.parse("DBoF-K4096-H1024").audio_words
    512

    Attributes:
        num_words: K, at least 16.
        hidden_size: H, the width of the hidden layer.
        num_mixtures: M; 5 does not show in the name.

    Reference: Miech, Laptev & Sivic 2017, https://arxiv.org/abs/1706.06905 (gated soft-DBoF); Abu-El-Haija et al.
    2016, https://arxiv.org/abs/1609.08675.
    """

    PREFIX: ClassVar[str] = "DBoF"
    EXAMPLE: ClassVar[str] = "DBoF-K4096-H1024"
    ALIASES: ClassVar[tuple[str, ...]] = ("GatedDBoF", "SoftDBoF")
    TITLE: ClassVar[str] = "gated deep bag of frames: a soft bag of visual words"

    num_words: int = size("K", minimum=16)
    hidden_size: int = size("H")
    num_mixtures: int = size("M", default=NUM_MIXTURES)

    @property
    def audio_words(self) -> int:
        """Audio, an eighth of the video's features, gets an eighth of its words."""
        return self.num_words // 8

    def tensor_specs(self, num_classes: int) -> tuple[TensorSpec, ...]:
        """Returns all tensors, in the order of the network."""
        return (
            *_bag_specs("video_bag", RGB_SIZE, self.num_words),
            *_bag_specs("audio_bag", AUDIO_SIZE, self.audio_words),
            *hidden_layer_specs("hidden1", self.num_words + self.audio_words, self.hidden_size),
            *gated_experts_specs(self.hidden_size, num_classes, self.num_mixtures),
        )

    def forward(
        self,
        frames: "Frames",
        counts: "tf.Tensor | None",
        weights: "Weights",
        *,
        training: "TrainingPass | None" = None,
        dtype: "tf.DType | None" = None,
    ) -> "tf.Tensor":
        """See `Architecture`."""
        import tensorflow as tf

        from trainer.model.layers import matmul
        from trainer.model.layers.bag_of_words import bag_of_words
        from trainer.model.layers.batch_norm import batch_norm
        from trainer.model.layers.gated_experts import gated_experts

        dtype = dtype or tf.float32
        bags = [
            bag_of_words(values, counts, weights, scope, training, dtype)
            for scope, values in zip(("video_bag", "audio_bag"), frames.parts(), strict=True)
        ]
        hidden = matmul(tf.concat(bags, axis=1), weights["hidden1/weights"], dtype)
        hidden = tf.nn.relu6(batch_norm(hidden, weights, "hidden1/bn", training))  # [B, H]
        return gated_experts(hidden, weights, training, dtype)

    def activations(self, frames: int, num_classes: int) -> int:
        """See `Architecture`."""
        words = self.num_words + self.audio_words
        outputs = 12 * self.hidden_size + 4 * num_classes * (2 * self.num_mixtures + 2)
        return frames * (2 * FRAME_SIZE + 8 * words) + 12 * words + outputs


def _bag_specs(scope: str, width: int, words: int) -> Iterator[TensorSpec]:
    rows = (FeatureRows(width),)
    yield from dense_specs(
        f"{scope}/words", width, words, 1 / math.sqrt(width), biases=False, feature_rows=rows
    )
    yield from batch_norm_specs(f"{scope}/bn", words)
    yield from dense_specs(f"{scope}/gate1", words, width, 1 / math.sqrt(words), biases=False)
    yield from dense_specs(f"{scope}/gate2", width, words, 1 / math.sqrt(width), biases=False)
    yield from batch_norm_specs(f"{scope}/gate/bn", words)
