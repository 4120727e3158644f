"""Long short-term memory, written LSTM-Lx-Hy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.model.architectures.recurrent import Recurrent, input_stddev
from trainer.model.tensor_spec import FeatureRows, TensorSpec, dense_specs, glorot

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.model.layers import Weights


@dataclass(frozen=True)
class Lstm(Recurrent):
    """L layers of H units (see `trainer.model.layers.recurrent.lstm`), then a gated mixture of experts.

    >>> Lstm.parse("LSTM-L2-H1024").hidden_size
    1024

    Reference: Miech, Laptev & Sivic 2017, https://arxiv.org/abs/1706.06905, section 3.1.
    """

    PREFIX: ClassVar[str] = "LSTM"
    EXAMPLE: ClassVar[str] = "LSTM-L2-H1024"
    TITLE: ClassVar[str] = "long short-term memory over the frames in their order"
    STATE_VALUES: ClassVar[int] = 24

    def layer_specs(
        self, scope: str, width: int, feature_rows: tuple[FeatureRows, ...] = ()
    ) -> Iterator[TensorSpec]:
        """See `Recurrent`."""
        h = self.hidden_size
        yield from dense_specs(
            f"{scope}/inputs", width, 4 * h, input_stddev(width, h), feature_rows=feature_rows
        )
        yield from dense_specs(f"{scope}/recurrent", h, 4 * h, glorot(h, h), biases=False)

    def layer(
        self, x: "tf.Tensor", real: "tf.Tensor | None", weights: "Weights", scope: str, dtype: "tf.DType"
    ) -> "tf.Tensor":
        """See `Recurrent`."""
        from trainer.model.layers.recurrent import lstm

        return lstm(x, real, weights, scope, dtype)
