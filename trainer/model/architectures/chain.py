"""A chain of classifiers on the mean frame, written Chain-Sx-Hy: each stage sees what the stages before it say.

Legend: B videos, T frames, D = 1152 features of a frame, S stages, H hidden size, N narrow size, V classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.base.sized_name import size
from trainer.data.yt8m import FRAME_SIZE
from trainer.model.architectures.architecture import Architecture
from trainer.model.tensor_spec import (
    FRAME_ROWS,
    TensorSpec,
    dense_specs,
    glorot,
    hidden_layer_specs,
    logistic_specs,
)

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.model.frames import Frames
    from trainer.model.layers import Weights
    from trainer.model.training_pass import TrainingPass


@dataclass(frozen=True)
class Chain(Architecture):
    """Stage s: p_s = sigmoid(dropout(relu(batch_norm(x_s @ W_s))) @ V_s + b_s); the prediction is the last stage's.

    x_1 is the mean of a video's real frames [B, D]. x_s is that mean beside a narrow view of each earlier stage's
    probabilities, relu(p_r @ N_rs + b_rs) [B, N], r < s. So W_s is [D + (s - 1) N, H], V_s [H, V], N_rs [V, N].
    Each stage has its own loss, all of the same weight. Chain-S3-H1024 has 19.2 million parameters, 37 MiB in
    float16.

    >>> Chain.parse("Chain-S3-H1024").narrow_size
    256

    Attributes:
        num_stages: S, the number of stages.
        hidden_size: H, the width of a stage's hidden layer.
        narrow_size: N; 256 does not show in the name.

    Reference: Wang et al. 2017, "The Monkeytyping solution to the YouTube-8M video understanding challenge" (chaining),
    https://arxiv.org/abs/1706.05150.
    """

    PREFIX: ClassVar[str] = "Chain"
    EXAMPLE: ClassVar[str] = "Chain-S3-H1024"
    TITLE: ClassVar[str] = "stages on the mean frame, each of which sees what those before it say"

    num_stages: int = size("S")
    hidden_size: int = size("H")
    narrow_size: int = size("N", default=256)

    def tensor_specs(self, num_classes: int) -> tuple[TensorSpec, ...]:
        """Returns the tensors stage by stage: the views of the earlier ones, the hidden layer, the classes."""
        return tuple(self._specs(num_classes))

    def _specs(self, num_classes: int) -> Iterator[TensorSpec]:
        narrow = self.narrow_size
        for stage in range(1, self.num_stages + 1):
            for earlier in range(1, stage):
                yield from dense_specs(
                    f"stage{stage}/view{earlier}", num_classes, narrow, glorot(num_classes, narrow)
                )
            width = FRAME_SIZE + (stage - 1) * narrow
            yield from hidden_layer_specs(
                f"stage{stage}/hidden", width, self.hidden_size, feature_rows=FRAME_ROWS
            )
            yield from logistic_specs(f"stage{stage}/classes", self.hidden_size, num_classes)

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
        mean = frames.mean(counts)  # [B, D]
        said: list[tf.Tensor] = []  # of each stage so far [B, V]
        for stage in range(1, self.num_stages + 1):
            views = [
                tf.nn.relu(dense(probabilities, weights, f"stage{stage}/view{earlier}", dtype))
                for earlier, probabilities in enumerate(said, 1)
            ]
            hidden = tf.concat([mean, *views], axis=1)  # [B, D + (s - 1) N]
            hidden = hidden_layer(hidden, weights, f"stage{stage}/hidden", training, dtype)  # [B, H]
            said.append(tf.sigmoid(dense(hidden, weights, f"stage{stage}/classes", dtype)))
        if training is not None:
            for probabilities in said[:-1]:
                training.add_output(probabilities)
        return said[-1]

    def activations(self, frames: int, num_classes: int) -> int:
        """See `Architecture`."""
        views = self.num_stages * (self.num_stages - 1) // 2 * self.narrow_size
        stages = self.num_stages * (FRAME_SIZE + 6 * self.hidden_size + 8 * num_classes)
        return 2 * FRAME_SIZE * frames + stages + 4 * views
