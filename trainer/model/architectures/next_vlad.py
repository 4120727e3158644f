"""NeXtVLAD, written NeXtVLAD-Gw-Kx-Hy: a NetVLAD on groups of widened frames, in a quarter of the parameters.

Legend: B videos, T frames, D features of a frame, E expanded features, G groups, K clusters, H hidden size, R squeeze
factor, V classes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.base.errors import UserError
from trainer.base.sized_name import size
from trainer.data.yt8m import AUDIO_SIZE, FRAME_SIZE, RGB_SIZE
from trainer.model.architectures.architecture import Architecture
from trainer.model.tensor_spec import FeatureRows, TensorSpec, batch_norm_specs, dense_specs, logistic_specs

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.model.frames import Frames
    from trainer.model.layers import Weights
    from trainer.model.training_pass import TrainingPass

EXPANSION = 2
"""How much wider the expanded frames are than frames, E / D."""


@dataclass(frozen=True)
class NextVlad(Architecture):
    """p = sigmoid(gated @ W2 + b2), with a hidden layer of the two descriptors and a squeeze-excite gate on it.

    - descriptors (see `trainer.model.layers.next_vlad`): of video by G groups and K clusters, of audio by G / 2 and
      K // 2; 2048 / G * K + 512 / G * (K // 2) numbers, with dropout;
    - hidden = batch_norm(descriptors @ W1) [B, H], without a ReLU;
    - gated = hidden * sigmoid(relu(batch_norm(hidden @ S1)) @ S2), S1 [H, H // R], S2 [H // R, H]; W2 is [H, V].

    >>> NextVlad.parse("NeXtVLAD-G8-K112-H2048").squeeze
    16

    Attributes:
        groups: G, even: audio has half of them.
        cluster_size: K; audio has half of them.
        hidden_size: H, the width of the hidden layer.
        squeeze: R; 16 does not show in the name.
        normalised: 1 for frames of L2 norm 1, as all families take them, which does not show in the name; 0 for
            frames as they are dequantised, which the checkpoints that the authors' code trains take.

    Reference: Lin, Xiao & Fan 2018, https://arxiv.org/abs/1811.05014.
    """

    PREFIX: ClassVar[str] = "NeXtVLAD"
    EXAMPLE: ClassVar[str] = "NeXtVLAD-G8-K112-H2048"
    TITLE: ClassVar[str] = "NeXtVLAD: NetVLAD on groups of widened frames, with attention"

    groups: int = size("G", minimum=2)
    cluster_size: int = size("K", minimum=2)
    hidden_size: int = size("H")
    squeeze: int = size("R", default=16)
    normalised: int = size("N", minimum=0, default=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.groups % 2 or any(EXPANSION * width % groups for _, width, groups, _ in self._sides()):
            raise UserError(
                f"groups must be a power of two from 2 to {2 * EXPANSION * AUDIO_SIZE}. Received: "
                f"groups={self.groups}"
            )
        if self.hidden_size < self.squeeze:
            raise UserError(
                f"hidden_size must be at least the squeeze factor, {self.squeeze} where the name has no other "
                f"(-R8). Received: hidden_size={self.hidden_size}"
            )

    def _sides(self) -> tuple[tuple[str, int, int, int], ...]:
        """Scope, D, G and K of video and of audio."""
        return (
            ("video_vlad", RGB_SIZE, self.groups, self.cluster_size),
            ("audio_vlad", AUDIO_SIZE, self.groups // 2, self.cluster_size // 2),
        )

    def tensor_specs(self, num_classes: int) -> tuple[TensorSpec, ...]:
        """Returns all tensors, in the order of the network (initial values of the authors' code)."""
        return tuple(self._specs(num_classes))

    def _specs(self, num_classes: int) -> Iterator[TensorSpec]:
        descriptors = 0
        for scope, width, groups, clusters in self._sides():
            expanded = EXPANSION * width
            features = expanded // groups
            yield from dense_specs(
                f"{scope}/expansion", width, expanded, _scaling(width), feature_rows=(FeatureRows(width),)
            )
            yield from dense_specs(f"{scope}/attention", expanded, groups, _scaling(expanded))
            yield TensorSpec(
                name=f"{scope}/cluster_weights",
                shape=(expanded, groups * clusters),
                compressible=True,
                stddev=_scaling(expanded),
            )
            yield from batch_norm_specs(f"{scope}/bn", groups * clusters)
            yield TensorSpec(
                name=f"{scope}/cluster_centers", shape=(1, features, clusters), stddev=_scaling(features)
            )
            yield from batch_norm_specs(f"{scope}/vlad/bn", features * clusters)
            descriptors += features * clusters
        hidden, squeezed = self.hidden_size, self.hidden_size // self.squeeze
        yield from dense_specs("hidden1", descriptors, hidden, _scaling(descriptors), biases=False)
        yield from batch_norm_specs("hidden1/bn", hidden)
        yield from dense_specs("squeeze", hidden, squeezed, _scaling(hidden), biases=False)
        yield from batch_norm_specs("squeeze/bn", squeezed)
        yield from dense_specs("excite", squeezed, hidden, _scaling(squeezed), biases=False)
        yield from logistic_specs("classes", hidden, num_classes)

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
        from trainer.model.layers.dense import dense
        from trainer.model.layers.next_vlad import next_vlad

        dtype = dtype or tf.float32
        vlads = [
            next_vlad(values, counts, weights, scope, training, dtype)
            for (scope, *_), values in zip(self._sides(), frames.parts(bool(self.normalised)), strict=True)
        ]
        vlad = tf.concat(vlads, axis=1)
        if training is not None:
            vlad = training.dropout(vlad)
        hidden = batch_norm(matmul(vlad, weights["hidden1/weights"], dtype), weights, "hidden1/bn", training)
        squeezed = batch_norm(
            matmul(hidden, weights["squeeze/weights"], dtype), weights, "squeeze/bn", training
        )
        gates = tf.sigmoid(matmul(tf.nn.relu(squeezed), weights["excite/weights"], dtype))  # [B, H]
        return tf.sigmoid(dense(hidden * gates, weights, "classes", dtype))

    def activations(self, frames: int, num_classes: int) -> int:
        """See `Architecture`."""
        assigned = sum(groups * clusters for *_, groups, clusters in self._sides())
        per_frame = 2 * FRAME_SIZE + 4 * EXPANSION * FRAME_SIZE + 6 * assigned
        descriptors = 6 * EXPANSION * FRAME_SIZE * self.cluster_size // self.groups
        return frames * per_frame + descriptors + 12 * self.hidden_size + 6 * num_classes


def _scaling(fan_in: int) -> float:
    """Standard deviation of He's initialisation (He et al. 2015), slim's variance_scaling_initializer."""
    return math.sqrt(2 / fan_in)
