"""NetFV, written FV-Kx-Hy: Fisher vectors that are learnt, before a gated mixture of experts.

Legend: B videos, T frames, D features of a frame, K clusters, H hidden size, V classes, M mixtures.
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
    gated_experts_specs,
    hidden_layer_specs,
)

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.model.frames import Frames
    from trainer.model.layers import Weights
    from trainer.model.training_pass import TrainingPass


@dataclass(frozen=True)
class NetFv(Architecture):
    """p = gated_experts(relu6(batch_norm(vectors @ W))), W [2048 K + 256 (K // 2), H].

    vectors are the Fisher vectors (see `trainer.model.layers.fisher_vector`) of video with K clusters and of audio with
    K // 2, of frames that a batch normalisation has scaled feature by feature. What follows the hidden layer stands in
    `trainer.model.layers.gated_experts`.

    >>> NetFv.parse("FV-K96-H1540").audio_cluster_size
    48

    Attributes:
        cluster_size: K, at least 2.
        hidden_size: H, the width of the hidden layer.
        num_mixtures: M; 5 does not show in the name.

    Reference: Miech, Laptev & Sivic 2017, https://arxiv.org/abs/1706.06905.
    """

    PREFIX: ClassVar[str] = "FV"
    EXAMPLE: ClassVar[str] = "FV-K96-H1540"
    ALIASES: ClassVar[tuple[str, ...]] = ("NetFV",)
    TITLE: ClassVar[str] = "NetFV: Fisher vectors, means and variances of clusters"

    cluster_size: int = size("K", minimum=2)
    hidden_size: int = size("H")
    num_mixtures: int = size("M", default=NUM_MIXTURES)

    @property
    def audio_cluster_size(self) -> int:
        """Audio, an eighth of the video's features, gets half of its clusters."""
        return self.cluster_size // 2

    def tensor_specs(self, num_classes: int) -> tuple[TensorSpec, ...]:
        """Returns all tensors, in the order of the network."""
        k, a = self.cluster_size, self.audio_cluster_size
        sizes = 2 * (RGB_SIZE * k + AUDIO_SIZE * a)
        return (
            *batch_norm_specs("frame/bn", FRAME_SIZE),
            *_fisher_specs("video_fv", RGB_SIZE, k),
            *_fisher_specs("audio_fv", AUDIO_SIZE, a),
            *hidden_layer_specs(
                "hidden1",
                sizes,
                self.hidden_size,
                # First and second moments of either.
                feature_rows=(*[FeatureRows(RGB_SIZE, k)] * 2, *[FeatureRows(AUDIO_SIZE, a)] * 2),
            ),
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
        from trainer.model.layers.batch_norm import batch_norm
        from trainer.model.layers.fisher_vector import fisher_vector
        from trainer.model.layers.gated_experts import gated_experts

        dtype = dtype or tf.float32
        column = None if counts is None else counts[:, :, tf.newaxis]
        values = batch_norm(frames.values(), weights, "frame/bn", training, column)
        rgb, audio = tf.split(values, [RGB_SIZE, AUDIO_SIZE], axis=2)
        video = fisher_vector(rgb, counts, weights, "video_fv", training, dtype)
        sound = fisher_vector(audio, counts, weights, "audio_fv", training, dtype)
        hidden = matmul(tf.concat([video, sound], axis=1), weights["hidden1/weights"], dtype)
        hidden = tf.nn.relu6(batch_norm(hidden, weights, "hidden1/bn", training))  # [B, H]
        return gated_experts(hidden, weights, training, dtype)

    def activations(self, frames: int, num_classes: int) -> int:
        """See `Architecture`."""
        clusters = self.cluster_size + self.audio_cluster_size
        per_frame = 8 * FRAME_SIZE + 6 * clusters
        vectors = 16 * (RGB_SIZE * self.cluster_size + AUDIO_SIZE * self.audio_cluster_size)
        outputs = 12 * self.hidden_size + 4 * num_classes * (2 * self.num_mixtures + 2)
        return frames * per_frame + vectors + outputs


def _fisher_specs(scope: str, width: int, clusters: int) -> Iterator[TensorSpec]:
    stddev = 1 / math.sqrt(width)
    shape = (width, clusters)
    yield TensorSpec(
        name=f"{scope}/cluster_weights", shape=shape, stddev=stddev, feature_rows=(FeatureRows(width),)
    )
    yield from batch_norm_specs(f"{scope}/bn", clusters)
    yield TensorSpec(name=f"{scope}/cluster_centers", shape=shape, stddev=stddev)
    yield TensorSpec(name=f"{scope}/deviations", shape=shape, stddev=stddev, constant=1.0)
