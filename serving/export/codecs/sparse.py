"""The codec of a matrix of which only the most important weights are kept.

Legend: P rows, Q columns, n kept rows of a column.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from serving.export.codecs.codec import PartSpec, Shape, check_range, matrix_shape
from serving.export.codecs.composed import Composed, inner_name, inner_parts
from trainer.base.sized_name import size

if TYPE_CHECKING:
    import tensorflow as tf

_BITMAP, _KEPT = "bitmap", "kept"
_PIECES = 8
"""Pieces that a tensor is unpacked in, so that the places of its values take an eighth of the memory."""


@dataclass(frozen=True)
class Sparse(Composed):
    """A bit for each weight, and the kept ones in another codec: sparse-k10-int8 keeps 10 per cent of each column.

    All columns keep the same number, so the kept ones are a matrix [n, Q] whose codec can have a scale a column. Those
    are kept whose magnitude times the norm of their input is largest (without statistics: whose magnitude is).

    Reference: Sun et al. 2023, https://arxiv.org/abs/2306.11695, which compares within an output, too.

    Attributes:
        kept: Per cent that is kept, from 1 to 100.
    """

    PREFIX: ClassVar[str] = "sparse"
    EXAMPLE: ClassVar[str] = "sparse-k10-int8"

    kept: int = size("k", maximum=100)

    def layout(self, shape: Shape) -> dict[str, PartSpec]:
        """See `Codec`."""
        rows, columns = matrix_shape(shape)
        return {
            _BITMAP: PartSpec((-(-rows // 8), columns), "uint8"),
            **inner_parts(_KEPT, self.inner.layout(self._kept_shape(shape))),
        }

    def encode(self, array: np.ndarray, statistics: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """See `Codec`."""
        array = np.asarray(array, np.float32)
        check_range(array, float(np.finfo(np.float32).max), "has no sparse form")
        matrix = array.reshape(matrix_shape(array.shape))
        count = self._kept_shape(array.shape)[0]
        importance = np.abs(matrix)
        if statistics is not None:
            squares = np.diagonal(statistics, axis1=1, axis2=2).reshape(-1)[: len(matrix)]
            importance *= np.sqrt(squares).astype(np.float32)[:, np.newaxis]
        # A stable order: of equally important weights the first ones stay.
        chosen = np.sort(np.argsort(-importance, axis=0, kind="stable")[:count], axis=0)
        mask = np.zeros(matrix.shape, np.bool_)
        np.put_along_axis(mask, chosen, True, axis=0)
        kept = self.inner.encode(np.take_along_axis(matrix, chosen, axis=0))
        return {
            _BITMAP: np.packbits(mask, axis=0, bitorder="little"),
            **{inner_name(_KEPT, part): value for part, value in kept.items()},
        }

    def decode_tensors(self, parts: "Mapping[str, tf.Tensor]", shape: Shape) -> "tf.Tensor":
        """See `Codec`."""
        import tensorflow as tf

        rows, columns = matrix_shape(shape)
        kept_shape = self._kept_shape(shape)
        own = {part: parts[inner_name(_KEPT, part)] for part in self.inner.layout(kept_shape)}
        kept = tf.reshape(self.inner.decode_tensors(own, kept_shape), [-1])
        bitmap = parts[_BITMAP]
        step = -(-bitmap.shape[0] // _PIECES)
        pieces, before, done = [], tf.zeros([1, columns], tf.int32), []
        for start in range(0, bitmap.shape[0], step):
            # One after the other: all at once would take the memory that the pieces save.
            with tf.control_dependencies(done):
                piece = bitmap[start : start + step]
            bits = tf.bitwise.right_shift(piece[:, tf.newaxis], np.arange(8, dtype=np.uint8)[:, np.newaxis])
            bits = tf.reshape(tf.bitwise.bitwise_and(bits, tf.constant(1, tf.uint8)), [-1, columns])
            # Of a kept weight: how many of its column are kept up to it.
            ranks = tf.cumsum(tf.cast(bits, tf.int32), axis=0) + before
            places = tf.maximum(ranks - 1, 0) * columns + tf.range(columns)
            pieces.append(tf.gather(kept, places) * tf.cast(bits, tf.float32))
            before, done = ranks[-1:], [pieces[-1]]
        return tf.reshape(tf.concat(pieces, axis=0)[:rows], shape)

    def _kept_shape(self, shape: Shape) -> tuple[int, int]:
        rows, columns = matrix_shape(shape)
        return -(-rows * self.kept // 100), columns
