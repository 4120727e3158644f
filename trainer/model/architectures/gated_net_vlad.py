"""Gated NetVLAD, the paper's model, written Kx-Hy: its 32 tensors, and from frames to class probabilities.

Legend: B videos, T frames, D features of a frame, K clusters, H hidden size, V classes, M mixtures.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.base.errors import UserError
from trainer.base.sized_name import size
from trainer.data.yt8m import AUDIO_SIZE, FRAME_SIZE, NUM_MIXTURES, RGB_SIZE
from trainer.model.architectures.architecture import Architecture
from trainer.model.tensor_spec import FeatureRows, TensorSpec, batch_norm_specs, gated_experts_specs

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.model.frames import Frames
    from trainer.model.layers import Weights
    from trainer.model.training_pass import TrainingPass


@dataclass(frozen=True, order=True)
class GatedNetVlad(Architecture):
    """One Gated NetVLAD.

    >>> GatedNetVlad.parse("K24-H1440").hidden_size
    1440

    Attributes:
        cluster_size: K, at least 2, since audio has K // 2 clusters.
        hidden_size: H, the width of the hidden layer.
        num_mixtures: M; the paper's 5 does not show in the name.

    Reference: the paper, section 2.1; Miech, Laptev & Sivic 2017, https://arxiv.org/abs/1706.06905.
    """

    PREFIX: ClassVar[str] = "K"
    EXAMPLE: ClassVar[str] = "K24-H1440"
    ALIASES: ClassVar[tuple[str, ...]] = ("NetVLAD", "GatedNetVLAD", "Gated-NetVLAD")
    TITLE: ClassVar[str] = "Gated NetVLAD: frames assigned to clusters; the paper's model"

    cluster_size: int = size("K", minimum=2)
    hidden_size: int = size("H")
    num_mixtures: int = size("M", default=NUM_MIXTURES)

    @property
    def audio_cluster_size(self) -> int:
        """Audio, an eighth of the video's features, gets half of its clusters."""
        return self.cluster_size // 2

    def tensor_specs(self, num_classes: int) -> tuple[TensorSpec, ...]:
        """Returns the 32 tensors, in the order of the network (paper, 2.1; initial values of the authors' code)."""
        k, a, h = self.cluster_size, self.audio_cluster_size, self.hidden_size
        vlad_size = RGB_SIZE * k + AUDIO_SIZE * a
        gated = 2 * h
        return (
            *_net_vlad_specs("video_vlad", RGB_SIZE, k),
            *_net_vlad_specs("audio_vlad", AUDIO_SIZE, a),
            TensorSpec(
                name="hidden1/weights",
                shape=(vlad_size, h),
                compressible=True,
                stddev=1 / math.sqrt(vlad_size),
                feature_rows=(FeatureRows(RGB_SIZE, k), FeatureRows(AUDIO_SIZE, a)),
            ),
            *batch_norm_specs("hidden1/bn", h),
            TensorSpec(name="hidden2/weights", shape=(h, gated), stddev=1 / math.sqrt(h)),
            TensorSpec(name="hidden2/biases", shape=(gated,), stddev=0.01),
            *gated_experts_specs(gated, num_classes, self.num_mixtures, compressible_gate=False),
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
        from trainer.model.layers.gated_experts import gated_experts
        from trainer.model.layers.net_vlad import net_vlad

        dtype = dtype or tf.float32
        video = net_vlad(frames.rgb, frames.scale, counts, weights, "video_vlad", training, dtype)
        audio = net_vlad(frames.audio, frames.scale, counts, weights, "audio_vlad", training, dtype)
        vlad = tf.concat([video, audio], axis=1)  # [B, 1024 * K + 128 * (K // 2)]
        hidden = matmul(vlad, weights["hidden1/weights"], dtype)
        # The paper says ReLU; the released code, whose checkpoints we load, clips at 6.
        hidden = tf.nn.relu6(batch_norm(hidden, weights, "hidden1/bn", training))  # [B, H]
        hidden = matmul(hidden, weights["hidden2/weights"], dtype) + weights["hidden2/biases"]  # [B, 2H]
        return gated_experts(hidden, weights, training, dtype)

    def activations(self, frames: int, num_classes: int) -> int:
        """See `Architecture`."""
        k, h = self.cluster_size + self.audio_cluster_size, self.hidden_size
        per_frame = 4 * FRAME_SIZE + 6 * k  # input, normalised, two gradients; logits to softmax and back
        descriptors = 4 * (RGB_SIZE * self.cluster_size + AUDIO_SIZE * self.audio_cluster_size)
        outputs = 16 * h + 4 * num_classes * (2 * self.num_mixtures + 2)
        return frames * per_frame + descriptors + outputs

    @classmethod
    def of_shapes(cls, source: str, shapes: Mapping[str, tuple[int, ...]]) -> tuple["GatedNetVlad", int]:
        """Finds the model and V that tensors of these shapes are of, for runs of before there was a `model.json`.

        Raises:
            UserError: If they are not of a Gated NetVLAD; it names the `source`.
        """
        try:
            num_classes = shapes["gating_prob/weights"][0]
            clusters, hidden = shapes["video_vlad/cluster_weights"][1], shapes["hidden1/weights"][1]
            return cls(clusters, hidden, shapes["experts/biases"][0] // num_classes), num_classes
        except KeyError as error:
            raise UserError(
                f"{source} has no model.json, and no tensor {error}: it is not a training run of this project"
            ) from None


def _net_vlad_specs(scope: str, feature_size: int, clusters: int) -> tuple[TensorSpec, ...]:
    stddev = 1 / math.sqrt(feature_size)
    return (
        TensorSpec(
            name=f"{scope}/cluster_weights",
            shape=(feature_size, clusters),
            stddev=stddev,
            feature_rows=(FeatureRows(feature_size),),
        ),
        *batch_norm_specs(f"{scope}/bn", clusters),
        TensorSpec(name=f"{scope}/cluster_centers", shape=(1, feature_size, clusters), stddev=stddev),
    )


_TABLE1 = """
K24-H1440 K32-H1280 K100-H800 K16-H1280 K32-H1024 K20-H960 K16-H800 K64-H512 K100-H400
K32-H600 K32-H512 K16-H512 K8-H512 K16-H400 K10-H400 K32-H256 K10-H300 K16-H256
"""

TABLE1: tuple[GatedNetVlad, ...] = tuple(map(GatedNetVlad.parse, _TABLE1.split()))
"""The paper's Table 1: the 18 models that were not eliminated, by decreasing size."""
