"""The codec of a matrix as the product of two thin ones.

Legend: P rows, Q columns, r rank, G groups of rows, R rows of a group.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from serving.export.codecs.codec import PartSpec, Shape, check_range, matrix_shape
from serving.export.codecs.composed import Composed, inner_name, inner_parts
from trainer.base.sized_name import size
from trainer.model.moment_groups import row_groups

if TYPE_CHECKING:
    import tensorflow as tf

_LEFT, _RIGHT = "left", "right"


@dataclass(frozen=True)
class LowRank(Composed):
    """Two factors, left [P, r] and right [Q, r], each in another codec: lowrank-r256-int8. W is left @ right^T.

    Of all matrices of the rank it is the one whose products with real inputs X are nearest: it minimises
    ||X W - X left right^T||. Without statistics all directions of the inputs count the same (a plain SVD).
    Where X^T X is known in blocks along its diagonal, its other elements count as zero. A matrix of fewer rows or
    columns than r keeps its full rank.

    The right factor is stored transposed, so that scales a column are scales of a component.
    """

    PREFIX: ClassVar[str] = "lowrank"
    EXAMPLE: ClassVar[str] = "lowrank-r256-int8"

    rank: int = size("r")

    def layout(self, shape: Shape) -> dict[str, PartSpec]:
        """See `Codec`."""
        left, right = self._shapes(shape)
        return {
            **inner_parts(_LEFT, self.inner.layout(left)),
            **inner_parts(_RIGHT, self.inner.layout(right)),
        }

    def encode(self, array: np.ndarray, statistics: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """See `Codec`."""
        array = np.asarray(array, np.float32)
        check_range(array, float(np.finfo(np.float32).max), "has no low rank")
        matrix = array.reshape(matrix_shape(array.shape))
        rank = min(self.rank, *matrix.shape)
        right = _directions(matrix, statistics, rank)
        left = matrix @ right
        factors = ((_LEFT, left, statistics), (_RIGHT, right, None))
        return {
            inner_name(name, part): value
            for name, factor, moments in factors
            for part, value in self.inner.encode(factor, moments).items()
        }

    def decode_tensors(self, parts: "Mapping[str, tf.Tensor]", shape: Shape) -> "tf.Tensor":
        """See `Codec`."""
        import tensorflow as tf

        factors = []
        for name, factor in zip((_LEFT, _RIGHT), self._shapes(shape), strict=True):
            own = {part: parts[inner_name(name, part)] for part in self.inner.layout(factor)}
            factors.append(self.inner.decode_tensors(own, factor))
        return tf.reshape(tf.matmul(*factors, transpose_b=True), shape)

    def _shapes(self, shape: Shape) -> tuple[Shape, Shape]:
        rows, columns = matrix_shape(shape)
        rank = min(self.rank, rows, columns)
        return (rows, rank), (columns, rank)


def _directions(matrix: np.ndarray, statistics: np.ndarray | None, rank: int) -> np.ndarray:
    """float32 [Q, r], orthonormal: the outputs' most important directions V; the best matrix is W V V^T.

    They are the first eigenvectors of W^T (X^T X) W. Where that is the larger of the two products, they come from
    those of its mirror image S W W^T S, with S the root of X^T X.
    """
    from scipy import linalg  # here: sizes are asked for where nothing is computed

    rows, columns = matrix.shape
    if columns <= rows:
        weighted = matrix if statistics is None else _product(statistics, matrix)
        return _eigenvectors(matrix.T @ weighted, rank)[0].astype(np.float32)
    if statistics is not None:
        matrix = _product(np.stack([_root(moments) for moments in statistics]), matrix)
    vectors, _ = _eigenvectors(matrix @ matrix.T, rank)
    # Orthonormal whatever the rounding: directions without a share would otherwise be noise of any length.
    return linalg.qr(matrix.T @ vectors, mode="economic", check_finite=False)[0].astype(np.float32)


def _eigenvectors(symmetric: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The eigenvectors [n, count] of the largest eigenvalues, largest first, and these."""
    from scipy import linalg

    size = len(symmetric)
    values, vectors = linalg.eigh(
        symmetric.astype(np.float64), subset_by_index=[size - count, size - 1], check_finite=False
    )
    return vectors[:, ::-1], values[::-1]


def _product(blocks: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """float32 [P, Q]: the matrix [P, P] of blocks [G, R, R] along its diagonal @ matrix [P, Q]."""
    return np.concatenate([block @ matrix[rows] for rows, block in row_groups(blocks, len(matrix))])


def _root(moments: np.ndarray) -> np.ndarray:
    """float32 [R, R] S with S S = the moments [R, R]."""
    from scipy import linalg

    values, vectors = linalg.eigh(moments.astype(np.float64), check_finite=False)
    return ((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T).astype(np.float32)
