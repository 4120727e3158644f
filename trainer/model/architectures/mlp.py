"""A multilayer perceptron on the mean frame, written MLP-Hy: for one-frame records, and as a cheap member.

Legend: B videos, T frames, D = 1152 features of a frame, H hidden size, V classes.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.base.sized_name import size
from trainer.data.yt8m import FRAME_SIZE
from trainer.model.architectures.architecture import Architecture
from trainer.model.tensor_spec import FRAME_ROWS, TensorSpec, hidden_layer_specs, logistic_specs

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.model.frames import Frames
    from trainer.model.layers import Weights
    from trainer.model.training_pass import TrainingPass


@dataclass(frozen=True)
class Mlp(Architecture):
    """p = sigmoid(dropout(relu(batch_norm(mean @ W1))) @ W2 + b2), with mean [B, D] over a video's real frames.

    W1 is [D, H], W2 [H, V]. MLP-H2048 has 10.3 million parameters, 20 MiB in float16.

    >>> Mlp.parse("MLP-H2048").hidden_size
    2048

    Attributes:
        hidden_size: H, the width of the hidden layer.

    Reference: the video-level models of the data set's paper, Abu-El-Haija et al. 2016,
    https://arxiv.org/abs/1609.08675, with a hidden layer.
    """

    PREFIX: ClassVar[str] = "MLP"
    EXAMPLE: ClassVar[str] = "MLP-H2048"
    TITLE: ClassVar[str] = "one hidden layer on the mean frame"

    hidden_size: int = size("H")

    def tensor_specs(self, num_classes: int) -> tuple[TensorSpec, ...]:
        """Returns the seven tensors, in the order of the network."""
        return (
            *hidden_layer_specs("hidden", FRAME_SIZE, self.hidden_size, feature_rows=FRAME_ROWS),
            *logistic_specs("classes", self.hidden_size, num_classes),
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

        from trainer.model.layers.dense import dense, hidden_layer

        dtype = dtype or tf.float32
        hidden = hidden_layer(frames.mean(counts), weights, "hidden", training, dtype)  # [B, H]
        return tf.sigmoid(dense(hidden, weights, "classes", dtype))

    def activations(self, frames: int, num_classes: int) -> int:
        """See `Architecture`."""
        return 2 * FRAME_SIZE * frames + 6 * self.hidden_size + 6 * num_classes
