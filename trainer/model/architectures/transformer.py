"""A transformer over the frames, written Transformer-Lx-Hy.

Legend: B videos, T frames, D = 1152 features of a frame, L layers, H width, A heads, F feed-forward width, V classes,
M mixtures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.base.errors import UserError
from trainer.base.sized_name import size
from trainer.data.yt8m import FRAME_SIZE, NUM_MIXTURES
from trainer.model.architectures.architecture import Architecture
from trainer.model.tensor_spec import FRAME_ROWS, TensorSpec, dense_specs, gated_experts_specs, glorot

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.model.frames import Frames
    from trainer.model.layers import Weights
    from trainer.model.training_pass import TrainingPass


@dataclass(frozen=True)
class Transformer(Architecture):
    """p = gated_experts(mean over the real frames of norm(encoder(frames @ W + b + places))).

    W is [D, H]; places are sines and cosines of where in its video a frame stands; the encoder has L layers of A heads
    and a feed-forward width of F (see `trainer.model.layers.transformer`). What follows stands in
    `trainer.model.layers.gated_experts`.

    >>> Transformer.parse("Transformer-L2-H1152").heads
    12

    Attributes:
        num_layers: L, the number of encoder layers.
        hidden_size: H, even, a multiple of A.
        heads: A; 12 does not show in the name.
        feed_forward: F; 3072 does not show in the name.
        num_mixtures: M; 5 does not show in the name.

    Reference: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762.
    """

    PREFIX: ClassVar[str] = "Transformer"
    EXAMPLE: ClassVar[str] = "Transformer-L2-H1152"
    TITLE: ClassVar[str] = "attention between frames, which know their places"

    num_layers: int = size("L")
    hidden_size: int = size("H", minimum=2)
    heads: int = size("A", default=12)
    feed_forward: int = size("F", default=3072)
    num_mixtures: int = size("M", default=NUM_MIXTURES)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % 2 or self.hidden_size % self.heads:
            raise UserError(
                f"hidden_size must be even and a multiple of the heads, which are {self.heads} (-A4 in the name makes "
                f"it 4). Received: hidden_size={self.hidden_size}"
            )

    def tensor_specs(self, num_classes: int) -> tuple[TensorSpec, ...]:
        """Returns all tensors, in the order of the network."""
        return (
            # Frames have norm 1: so their projections have about 1 a number, as the places have.
            *dense_specs("input", FRAME_SIZE, self.hidden_size, 1.0, feature_rows=FRAME_ROWS),
            *(spec for layer in range(1, self.num_layers + 1) for spec in self._layer_specs(f"layer{layer}")),
            *_norm_specs("norm", self.hidden_size),
            *gated_experts_specs(self.hidden_size, num_classes, self.num_mixtures),
        )

    def _layer_specs(self, scope: str) -> Iterator[TensorSpec]:
        h, f = self.hidden_size, self.feed_forward
        yield from _norm_specs(f"{scope}/norm1", h)
        yield from dense_specs(f"{scope}/query_key_value", h, 3 * h, glorot(h, h))
        yield from dense_specs(f"{scope}/attention", h, h, glorot(h, h))
        yield from _norm_specs(f"{scope}/norm2", h)
        yield from dense_specs(f"{scope}/expand", h, f, glorot(h, f))
        yield from dense_specs(f"{scope}/contract", f, h, glorot(f, h))

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

        from trainer.model.layers.dense import dense
        from trainer.model.layers.gated_experts import gated_experts
        from trainer.model.layers.transformer import encoder_layer, layer_norm, places

        dtype = dtype or tf.float32
        counts = tf.ones_like(frames.scale) if counts is None else counts
        values = dense(frames.values(), weights, "input", dtype) + places(counts, self.hidden_size)
        for layer in range(1, self.num_layers + 1):
            values = encoder_layer(values, counts, weights, f"layer{layer}", self.heads, training, dtype)
        values = layer_norm(values, weights, "norm")  # [B, T, H]
        shares = counts / tf.reduce_sum(counts, axis=1, keepdims=True)
        pooled = tf.reduce_sum(values * shares[:, :, tf.newaxis], axis=1)  # [B, H]
        return gated_experts(pooled, weights, training, dtype)

    def activations(self, frames: int, num_classes: int) -> int:
        """See `Architecture`."""
        h, f = self.hidden_size, self.feed_forward
        layer = frames * (16 * h + 4 * f) + 4 * self.heads * frames**2
        outputs = 8 * h + 4 * num_classes * (2 * self.num_mixtures + 2)
        return frames * (2 * FRAME_SIZE + 4 * h) + self.num_layers * layer + outputs


def _norm_specs(scope: str, width: int) -> Iterator[TensorSpec]:
    yield TensorSpec(name=f"{scope}/gamma", shape=(width,), constant=1.0)
    yield TensorSpec(name=f"{scope}/beta", shape=(width,))
