"""The contract of a codec: how a tensor is stored in fewer bytes, and decoded once when a model is loaded."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trainer.base.sized_name import SizedName

if TYPE_CHECKING:
    import tensorflow as tf

Parts = Mapping[str, np.ndarray]
"""What a tensor is stored as: arrays by name."""
Shape = tuple[int, ...]

VALUES = "values"
"""The part that is stored under the tensor's own name; every other part p as `<tensor>/p`."""


@dataclass(frozen=True)
class PartSpec:
    """One part: its shape, and the name of its NumPy type, which TensorFlow's checkpoints must know."""

    shape: Shape
    dtype: str

    @property
    def bytes(self) -> int:
        """Bytes of the array."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Codec(SizedName, ABC):
    """A way to store float32 tensors of any shape; a frozen dataclass whose fields are the numbers in its name.

    A model's card names the codec of each tensor, so a name means the same for ever.
    """

    @abstractmethod
    def layout(self, shape: Shape) -> dict[str, PartSpec]:
        """Returns the parts that a tensor of this shape is stored as, whatever its values."""

    @abstractmethod
    def encode(self, array: np.ndarray, statistics: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Makes the parts of a tensor, as `layout` says.

        Args:
            array: float32, any shape.
            statistics: float32 [G, R, R], the blocks along the diagonal of X^T X, where X are the rows that a kernel
                [P, Q] is multiplied with in the model. A block is that of R consecutive rows of the kernel; the last
                one is zero beyond row P. G is 1 where X^T X is known whole. For codecs that round by it; None where
                it was not measured (see `trainer.metrics.second_moments`).

        Raises:
            ValueError: If a value has no stored form; the text begins with its place, such as ``[3, 5] = 1e+06``.
        """

    @abstractmethod
    def decode_tensors(self, parts: "Mapping[str, tf.Tensor]", shape: Shape) -> "tf.Tensor":
        """Returns the float32 tensor, by operations of TensorFlow alone, which run where a model is loaded."""

    def decode(self, parts: Parts, shape: Shape) -> np.ndarray:
        """Returns the float32 array, value by value what `decode_tensors` gives."""
        import tensorflow as tf

        with tf.device("CPU"):
            return self.decode_tensors(
                {name: tf.constant(part) for name, part in parts.items()}, shape
            ).numpy()

    def stored_bytes(self, shape: Shape) -> int:
        """Returns the bytes of all parts of a tensor of this shape."""
        return sum(part.bytes for part in self.layout(shape).values())


def matrix_shape(shape: Shape) -> tuple[int, int]:
    """Returns rows and columns of a tensor as a matrix: the last dimension is the columns, a vector is one column.

    >>> matrix_shape((1, 1024, 8)), matrix_shape((7,))
    ((1024, 8), (7, 1))
    """
    if len(shape) < 2:
        return math.prod(shape), 1
    return math.prod(shape[:-1]), shape[-1]


def check_range(array: np.ndarray, largest: float, problem: str) -> None:
    """Refuses values that are not finite, or larger than a codec can store.

    Args:
        array: float32, any shape.
        largest: Largest magnitude that has a stored form.
        problem: What is wrong with a larger value, for the message: "is beyond float16's 65504".

    Raises:
        ValueError: It begins with the place of the first such value.
    """
    # Minimum and maximum pass NaN on, and need no copy of the tensor.
    if not array.size or np.abs([array.min(), array.max()]).max() <= largest:
        return
    bad = ~(np.abs(array) <= largest)
    index = np.unravel_index(int(bad.argmax()), array.shape)
    reason = problem if np.isfinite(array[index]) else "is not finite"
    raise ValueError(
        f"[{', '.join(map(str, index))}] = {array[index]:g} {reason} ({int(bad.sum())} such values)"
    )
