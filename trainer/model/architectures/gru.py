"""Gated recurrent units, written GRU-Lx-Hy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.model.architectures.recurrent import Recurrent, input_stddev
from trainer.model.tensor_spec import FeatureRows, TensorSpec, dense_specs, glorot

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.model.layers import Weights


@dataclass(frozen=True)
class Gru(Recurrent):
    """L layers of H units (see `trainer.model.layers.recurrent.gru`), then a gated mixture of experts.

    >>> Gru.parse("GRU-L2-H1200").num_layers
    2

    Reference: Miech, Laptev & Sivic 2017, https://arxiv.org/abs/1706.06905, section 3.1.
    """

    PREFIX: ClassVar[str] = "GRU"
    EXAMPLE: ClassVar[str] = "GRU-L2-H1200"
    TITLE: ClassVar[str] = "gated recurrent units over the frames in their order"
    STATE_VALUES: ClassVar[int] = 18

    def layer_specs(
        self, scope: str, width: int, feature_rows: tuple[FeatureRows, ...] = ()
    ) -> Iterator[TensorSpec]:
        """See `Recurrent`."""
        h = self.hidden_size
        yield from dense_specs(
            f"{scope}/inputs", width, 3 * h, input_stddev(width, h), biases=False, feature_rows=feature_rows
        )
        for part, units, bias in (("gates", 2 * h, 1.0), ("candidate", h, 0.0)):
            yield from dense_specs(f"{scope}/{part}", h, units, glorot(h, h), biases=False)
            yield TensorSpec(name=f"{scope}/{part}/biases", shape=(units,), constant=bias)

    def layer(
        self, x: "tf.Tensor", real: "tf.Tensor | None", weights: "Weights", scope: str, dtype: "tf.DType"
    ) -> "tf.Tensor":
        """See `Recurrent`."""
        from trainer.model.layers.recurrent import gru

        return gru(x, real, weights, scope, dtype)
