"""The tensors that a model consists of, by name, shape and role."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from trainer.data.yt8m import AUDIO_SIZE, RGB_SIZE


class FeatureRows(NamedTuple):
    """Rows of a kernel that belong to the features of a frame: `times` rows to the first one, then to the second."""

    size: int
    """How many features: those of rgb or of audio."""
    times: int = 1


FRAME_ROWS = (FeatureRows(RGB_SIZE), FeatureRows(AUDIO_SIZE))
"""The rows of a kernel that is multiplied with frames, rgb before audio."""


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """Name, shape and role of one tensor of a model.

    Attributes:
        name: Key of the tensor in snapshots and SavedModels, e.g. ``hidden1/weights``.
        shape: Dimensions of the tensor.
        trainable: False for the moving statistics of batch normalisation, which no gradient reaches.
        compressible: True where a codec may store the tensor in fewer bytes: for the large ones (paper, 2.2).
        stddev: Standard deviation of the normal distribution that the tensor is initialised from; None for a constant.
        constant: Mean of that distribution, or the initial value of all elements where `stddev` is None.
        l2: True where the L2 penalty applies to the tensor.
        feature_rows: The rows (first dimension) of a kernel that belong to features of a frame, as in
            `trainer.model.reverse_whitening`. Rows behind them belong to something else.
    """

    name: str
    shape: tuple[int, ...]
    trainable: bool = True
    compressible: bool = False
    stddev: float | None = None
    constant: float = 0.0
    l2: bool = False
    feature_rows: tuple[FeatureRows, ...] = ()

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def batch_norm_specs(scope: str, width: int) -> tuple[TensorSpec, ...]:
    """Returns the four tensors [width] of `trainer.model.layers.batch_norm`: two trained, two moving statistics."""
    return (
        TensorSpec(name=f"{scope}/beta", shape=(width,)),
        TensorSpec(name=f"{scope}/gamma", shape=(width,), constant=1.0),
        TensorSpec(name=f"{scope}/moving_mean", shape=(width,), trainable=False),
        TensorSpec(name=f"{scope}/moving_variance", shape=(width,), trainable=False, constant=1.0),
    )


def dense_specs(
    scope: str,
    fan_in: int,
    fan_out: int,
    stddev: float,
    *,
    biases: bool = True,
    l2: bool = False,
    feature_rows: tuple[FeatureRows, ...] = (),
) -> tuple[TensorSpec, ...]:
    """Returns a dense layer's kernel [fan_in, fan_out], which may be stored small, and its biases if it has any."""
    kernel = TensorSpec(
        name=f"{scope}/weights",
        shape=(fan_in, fan_out),
        compressible=True,
        stddev=stddev,
        l2=l2,
        feature_rows=feature_rows,
    )
    return (kernel, TensorSpec(name=f"{scope}/biases", shape=(fan_out,))) if biases else (kernel,)


def hidden_layer_specs(
    scope: str, fan_in: int, fan_out: int, *, feature_rows: tuple[FeatureRows, ...] = ()
) -> tuple[TensorSpec, ...]:
    """Returns the five tensors of `trainer.model.layers.dense.hidden_layer`."""
    stddev = 1 / math.sqrt(fan_in)
    kernel = dense_specs(scope, fan_in, fan_out, stddev, biases=False, feature_rows=feature_rows)
    return (*kernel, *batch_norm_specs(f"{scope}/bn", fan_out))


def logistic_specs(scope: str, width: int, num_classes: int) -> tuple[TensorSpec, ...]:
    """Returns kernel and biases of a logistic regression a class, the kernel with the L2 penalty."""
    return dense_specs(scope, width, num_classes, glorot(width, num_classes), l2=True)


def gated_experts_specs(
    width: int, num_classes: int, num_mixtures: int, *, compressible_gate: bool = True
) -> tuple[TensorSpec, ...]:
    """Returns the 13 tensors of `trainer.model.layers.gated_experts` on an input of `width` numbers a video.

    The paper stores the gate of the hidden units, `gating/weights`, in float32.
    """
    return (
        TensorSpec(
            name="gating/weights",
            shape=(width, width),
            compressible=compressible_gate,
            stddev=1 / math.sqrt(width),
        ),
        *batch_norm_specs("gating/bn", width),
        *mixture_of_experts_specs(width, num_classes, num_mixtures),
        TensorSpec(
            name="gating_prob/weights",
            shape=(num_classes, num_classes),
            compressible=True,
            stddev=1 / math.sqrt(num_classes),
        ),
        *batch_norm_specs("gating_prob/bn", num_classes),
    )


def mixture_of_experts_specs(width: int, num_classes: int, num_mixtures: int) -> tuple[TensorSpec, ...]:
    """Returns the three tensors of `trainer.model.layers.mixture_of_experts`.

    Args:
        width: Number of values that the layer gets of each video.
        num_classes: V.
        num_mixtures: M, the number of experts of each class.
    """
    gates, experts = num_classes * (num_mixtures + 1), num_classes * num_mixtures
    return (
        TensorSpec(
            name="gates/weights",
            shape=(width, gates),
            compressible=True,
            stddev=glorot(width, gates),
            l2=True,
        ),
        TensorSpec(
            name="experts/weights",
            shape=(width, experts),
            compressible=True,
            stddev=glorot(width, experts),
            l2=True,
        ),
        TensorSpec(name="experts/biases", shape=(experts,)),
    )


def glorot(fan_in: int, fan_out: int) -> float:
    """Returns the standard deviation of Glorot's initialisation (Glorot & Bengio 2010, eq. 12)."""
    return math.sqrt(2 / (fan_in + fan_out))
