"""What GRU and LSTM have in common: layers over the frames in their order, and a gated mixture of experts at the end.

Legend: B videos, T frames, D = 1152 features of a frame, L layers, H width of the state, V classes, M mixtures.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.base.sized_name import size
from trainer.data.yt8m import FRAME_SIZE, NUM_MIXTURES
from trainer.model.architectures.architecture import Architecture
from trainer.model.tensor_spec import FRAME_ROWS, FeatureRows, TensorSpec, gated_experts_specs, glorot

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.model.frames import Frames
    from trainer.model.layers import Weights
    from trainer.model.training_pass import TrainingPass


@dataclass(frozen=True)
class Recurrent(Architecture):
    """p = gated_experts(the last layer's state after the last real frame).

    A frame that was drawn several times is one step.

    Attributes:
        num_layers: L; the first sees the frames, each other one the states of the one before.
        hidden_size: H, the width of a layer's state.
        num_mixtures: M; 5 does not show in the name.
    """

    STATE_VALUES: ClassVar[int]
    """Numbers that a layer keeps of a frame for the backward pass, for each unit."""

    num_layers: int = size("L")
    hidden_size: int = size("H")
    num_mixtures: int = size("M", default=NUM_MIXTURES)

    @abstractmethod
    def layer_specs(
        self, scope: str, width: int, feature_rows: tuple[FeatureRows, ...] = ()
    ) -> Iterator[TensorSpec]:
        """Yields the tensors of one layer on inputs of so many numbers, the first of them the features of frames."""

    @abstractmethod
    def layer(
        self, x: "tf.Tensor", real: "tf.Tensor | None", weights: "Weights", scope: str, dtype: "tf.DType"
    ) -> "tf.Tensor":
        """Returns the states of one layer after each frame of x [B, T, P]: float32 [B, T, H]."""

    def tensor_specs(self, num_classes: int) -> tuple[TensorSpec, ...]:
        """Returns the tensors layer by layer, then those of the gated mixture of experts."""
        first = self.layer_specs("layer1", FRAME_SIZE, FRAME_ROWS)
        others = (
            spec
            for layer in range(2, self.num_layers + 1)
            for spec in self.layer_specs(f"layer{layer}", self.hidden_size)
        )
        return (*first, *others, *gated_experts_specs(self.hidden_size, num_classes, self.num_mixtures))

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

        from trainer.model.layers.gated_experts import gated_experts

        dtype = dtype or tf.float32
        real = None if counts is None else counts > 0.0
        states = frames.values()
        for layer in range(1, self.num_layers + 1):
            states = self.layer(states, real, weights, f"layer{layer}", dtype)  # [B, T, H]
        return gated_experts(states[:, -1], weights, training, dtype)

    def activations(self, frames: int, num_classes: int) -> int:
        """See `Architecture`."""
        per_frame = 2 * FRAME_SIZE + self.num_layers * self.STATE_VALUES * self.hidden_size
        outputs = 8 * self.hidden_size + 4 * num_classes * (2 * self.num_mixtures + 2)
        return frames * per_frame + outputs


def input_stddev(width: int, units: int) -> float:
    """Returns the standard deviation of an initial kernel [width, units] on a layer's inputs.

    Frames have norm 1, and states about 1 a number.
    """
    return 1.0 if width == FRAME_SIZE else glorot(width, units)
