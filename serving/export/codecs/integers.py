"""Codecs of whole numbers: a byte or half a byte a weight, and a scale for a column or for a block of its rows.

Legend: P rows, Q columns, b rows of a block.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from serving.export.codecs.codec import VALUES, Codec, PartSpec, Shape, check_range, matrix_shape
from serving.export.codecs.floats import FLOAT16_MAX
from serving.export.codecs.rounding import block_scales, calibrated_rounding, round_to
from trainer.base.sized_name import size

if TYPE_CHECKING:
    import tensorflow as tf

SCALES = "scales"
"""The part that whole numbers are multiplied with."""
_INT8_MAX, _INT4_MAX = 127, 7


@dataclass(frozen=True)
class Int8(Codec):
    """Whole numbers from -127 to 127 and a float32 scale a column.

    A value is off by at most half its column's scale, which is the largest magnitude in the column / 127.
    """

    PREFIX: ClassVar[str] = "int8"
    EXAMPLE: ClassVar[str] = "int8"

    def layout(self, shape: Shape) -> dict[str, PartSpec]:
        """See `Codec`."""
        return {
            VALUES: PartSpec(shape, "int8"),
            SCALES: PartSpec((matrix_shape(shape)[1],), "float32"),
        }

    def encode(self, array: np.ndarray, statistics: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """See `Codec`; statistics are not used."""
        del statistics
        array = np.asarray(array, np.float32)
        check_range(array, float(np.finfo(np.float32).max), "has no int8")
        matrix = array.reshape(matrix_shape(array.shape))
        scales = np.abs(matrix).max(axis=0, initial=0.0) / np.float32(_INT8_MAX)
        values = round_to(matrix, scales, _INT8_MAX)
        return {VALUES: values.reshape(array.shape), SCALES: scales}

    def decode_tensors(self, parts: "Mapping[str, tf.Tensor]", shape: Shape) -> "tf.Tensor":
        """See `Codec`."""
        import tensorflow as tf

        del shape
        return tf.cast(parts[VALUES], tf.float32) * parts[SCALES]


@dataclass(frozen=True)
class Int4(Codec):
    """Whole numbers from -7 to 7, two a byte, and a float16 scale for each block of rows of a column: int4-b128.

    Without statistics each value is rounded by itself; with them by GPTQ (see `calibrated_rounding`), which
    changes the stored numbers and not how they are decoded.

    A byte holds a row of the first half of the rows in its low four bits and one of the second half in its high
    four bits, both in two's complement.
    """

    PREFIX: ClassVar[str] = "int4"
    EXAMPLE: ClassVar[str] = "int4-b128"

    block: int = size("b")

    def layout(self, shape: Shape) -> dict[str, PartSpec]:
        """See `Codec`."""
        rows, columns = matrix_shape(shape)
        return {
            VALUES: PartSpec((-(-rows // 2), columns), "int8"),
            SCALES: PartSpec((-(-rows // self.block), columns), "float16"),
        }

    def encode(self, array: np.ndarray, statistics: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """See `Codec`."""
        array = np.asarray(array, np.float32)
        check_range(array, FLOAT16_MAX * _INT4_MAX, "is beyond int4's 458528")
        matrix = array.reshape(matrix_shape(array.shape))
        if statistics is None:
            scales = block_scales(matrix, self.block, _INT4_MAX)
            each_row = np.repeat(scales.astype(np.float32), self.block, axis=0)[: len(matrix)]
            values = round_to(matrix, each_row, _INT4_MAX)
        else:
            values, scales = calibrated_rounding(matrix, statistics, self.block, _INT4_MAX)
        return {VALUES: _packed(values), SCALES: scales}

    def decode_tensors(self, parts: "Mapping[str, tf.Tensor]", shape: Shape) -> "tf.Tensor":
        """See `Codec`."""
        import tensorflow as tf

        rows, columns = matrix_shape(shape)
        blocks = -(-rows // self.block)
        packed = parts[VALUES]
        # Sixteen times each value, which saves shifting it back; the scales make up for it, exactly.
        low = tf.bitwise.left_shift(packed, tf.constant(4, tf.int8))
        values = tf.concat([low, tf.bitwise.bitwise_and(packed, tf.constant(-16, tf.int8))], axis=0)
        # Whole blocks while a value is a byte: as float32 the surplus would be a copy of the tensor.
        missing = blocks * self.block - 2 * packed.shape[0]
        if missing > 0:
            values = tf.pad(values, [[0, missing], [0, 0]])
        values = values[: blocks * self.block]
        values = tf.reshape(tf.cast(values, tf.float32), [blocks, self.block, columns])
        values *= tf.cast(parts[SCALES], tf.float32)[:, tf.newaxis] / 16.0
        return tf.reshape(tf.reshape(values, [-1, columns])[:rows], shape)


def _packed(values: np.ndarray) -> np.ndarray:
    """int8 [P, Q] of values from -8 to 7 as int8 [ceil(P / 2), Q]."""
    half = -(-len(values) // 2)
    low, high = values[:half].view(np.uint8) & 15, values[half:].view(np.uint8) << 4
    low[: len(high)] |= high
    return low.view(np.int8)
