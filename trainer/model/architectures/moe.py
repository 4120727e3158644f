"""A mixture of experts on the mean frame, written MoE-Mx-Hy.

Legend: B videos, T frames, D = 1152 features of a frame, H hidden size, V classes, M mixtures.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.base.sized_name import size
from trainer.data.yt8m import FRAME_SIZE
from trainer.model.architectures.architecture import Architecture
from trainer.model.tensor_spec import FRAME_ROWS, TensorSpec, hidden_layer_specs, mixture_of_experts_specs

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.model.frames import Frames
    from trainer.model.layers import Weights
    from trainer.model.training_pass import TrainingPass


@dataclass(frozen=True)
class Moe(Architecture):
    """p = experts(dropout(relu(batch_norm(mean @ W)))), with mean [B, D] over a video's real frames and W [D, H].

    For each class, M logistic regressions of the H hidden units and the gates that weigh them. MoE-M5-H512 has 22.4
    million parameters, 43 MiB in float16.

    >>> Moe.parse("MoE-M5-H512").num_mixtures
    5

    Attributes:
        num_mixtures: M, the experts of a class.
        hidden_size: H, the width of the hidden layer.

    Reference: Abu-El-Haija et al. 2016, https://arxiv.org/abs/1609.08675, section 4 (there without a hidden layer).
    """

    PREFIX: ClassVar[str] = "MoE"
    EXAMPLE: ClassVar[str] = "MoE-M5-H512"
    TITLE: ClassVar[str] = "a mixture of experts on the mean frame"

    num_mixtures: int = size("M")
    hidden_size: int = size("H")

    def tensor_specs(self, num_classes: int) -> tuple[TensorSpec, ...]:
        """Returns the eight tensors, in the order of the network."""
        return (
            *hidden_layer_specs("hidden", FRAME_SIZE, self.hidden_size, feature_rows=FRAME_ROWS),
            *mixture_of_experts_specs(self.hidden_size, num_classes, self.num_mixtures),
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

        from trainer.model.layers.dense import hidden_layer
        from trainer.model.layers.mixture_of_experts import mixture_of_experts

        dtype = dtype or tf.float32
        hidden = hidden_layer(frames.mean(counts), weights, "hidden", training, dtype)  # [B, H]
        return mixture_of_experts(hidden, weights, dtype)

    def activations(self, frames: int, num_classes: int) -> int:
        """See `Architecture`."""
        return 2 * FRAME_SIZE * frames + 6 * self.hidden_size + 4 * num_classes * (2 * self.num_mixtures + 2)
