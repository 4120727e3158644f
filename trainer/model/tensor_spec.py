"""The tensors that a model consists of, by name, shape and role."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """Name, shape and role of one tensor of a model.

    Attributes:
        name: Key of the tensor in snapshots and SavedModels, e.g. ``hidden1/weights``.
        shape: Its dimensions.
        trainable: False for the moving statistics of batch normalisation, which no gradient reaches.
        compressible: True where a compressor may store the tensor in fewer bytes: for the big ones (paper, 2.2).
        stddev: Standard deviation of the normal distribution that it is initialised from; None means constant.
        constant: Mean of that distribution, or the initial value where stddev is None.
        l2: True where the L2 penalty applies.
    """

    name: str
    shape: tuple[int, ...]
    trainable: bool = True
    compressible: bool = False
    stddev: float | None = None
    constant: float = 0.0
    l2: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def batch_norm_specs(scope: str, width: int) -> tuple[TensorSpec, ...]:
    """The four tensors [width] of `trainer.model.layers.batch_norm`: two that are trained and two moving statistics."""
    return (
        TensorSpec(name=f"{scope}/beta", shape=(width,)),
        TensorSpec(name=f"{scope}/gamma", shape=(width,), constant=1.0),
        TensorSpec(name=f"{scope}/moving_mean", shape=(width,), trainable=False),
        TensorSpec(name=f"{scope}/moving_variance", shape=(width,), trainable=False, constant=1.0),
    )


def mixture_of_experts_specs(width: int, num_classes: int, num_mixtures: int) -> tuple[TensorSpec, ...]:
    """The three tensors of `trainer.model.layers.mixture_of_experts` on an input of `width` numbers a video."""
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
    """Standard deviation of Glorot's initialisation (Glorot & Bengio 2010, eq. 12)."""
    return math.sqrt(2 / (fan_in + fan_out))
