"""The codecs of floating-point numbers: as they are, and in half the bytes (paper, 2.2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from serving.export.codecs.codec import VALUES, Codec, Parts, PartSpec, Shape, check_range

if TYPE_CHECKING:
    import tensorflow as tf

FLOAT16_MAX = float(np.finfo(np.float16).max)
"""65504; larger values have no float16."""


@dataclass(frozen=True)
class Float32(Codec):
    """Values as they are."""

    PREFIX: ClassVar[str] = "float32"
    EXAMPLE: ClassVar[str] = "float32"

    def layout(self, shape: Shape) -> dict[str, PartSpec]:
        """See `Codec`."""
        return {VALUES: PartSpec(shape, "float32")}

    def encode(self, array: np.ndarray, statistics: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """See `Codec`."""
        del statistics
        return {VALUES: np.asarray(array, np.float32)}

    def decode_tensors(self, parts: "Mapping[str, tf.Tensor]", shape: Shape) -> "tf.Tensor":
        """See `Codec`."""
        del shape
        return parts[VALUES]

    def decode(self, parts: Parts, shape: Shape) -> np.ndarray:
        """See `Codec`; without a copy."""
        del shape
        return parts[VALUES]


@dataclass(frozen=True)
class Float16(Codec):
    """The nearest float16. Values below its smallest, about 6e-8, become 0: far below what moves a prediction."""

    PREFIX: ClassVar[str] = "float16"
    EXAMPLE: ClassVar[str] = "float16"

    def layout(self, shape: Shape) -> dict[str, PartSpec]:
        """See `Codec`."""
        return {VALUES: PartSpec(shape, "float16")}

    def encode(self, array: np.ndarray, statistics: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """See `Codec`; a value that is not finite or beyond float16's range has no stored form."""
        del statistics
        array = np.asarray(array, np.float32)
        check_range(array, FLOAT16_MAX, "is beyond float16's 65504")
        return {VALUES: array.astype(np.float16)}

    def decode_tensors(self, parts: "Mapping[str, tf.Tensor]", shape: Shape) -> "tf.Tensor":
        """See `Codec`."""
        import tensorflow as tf

        del shape
        return tf.cast(parts[VALUES], tf.float32)

    def decode(self, parts: Parts, shape: Shape) -> np.ndarray:
        """See `Codec`."""
        del shape
        return parts[VALUES].astype(np.float32)
