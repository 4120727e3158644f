"""Rounding to whole numbers: each value by itself, or so that the products with real inputs change least.

Legend: P rows, Q columns, b rows of a block that shares a scale, G groups of rows with moments, R rows of a group.
"""

import numpy as np

from trainer.model.moment_groups import row_groups

_SHRINKS = np.linspace(1.0, 0.7, 7, dtype=np.float32)
"""Shares of the scale that reaches the largest value of a block, of which the one of the least error is taken: a
smaller scale cuts the largest values and rounds all others more finely."""
_DAMPING = 0.01
"""Share of the mean second moment that is added to each, for directions that few or no inputs have."""
_COLUMNS = 4096
"""Columns that are rounded at once; bounds the memory."""
_STEP = 32
"""Rows after which the errors are passed on to all later rows of the group, by one product of matrices."""


def round_to(matrix: np.ndarray, scales: np.ndarray, largest: int) -> np.ndarray:
    """Returns the nearest multiples of the scales as int8, from -largest to largest; 0 where a scale is 0."""
    divisors = np.where(scales > 0, scales, np.float32(1)).astype(np.float32)
    values = matrix / divisors
    np.rint(values, out=values)
    return np.clip(values, -largest, largest, out=values).astype(np.int8)


def block_scales(matrix: np.ndarray, block: int, largest: int) -> np.ndarray:
    """Finds float16 [ceil(P / b), Q]: for each block of rows the scale of least squared error in `round_to`."""
    scales = np.empty((-(-len(matrix) // block), matrix.shape[1]), np.float16)
    for index in range(len(scales)):
        scales[index] = _block_scale(matrix[index * block : (index + 1) * block], largest)
    return scales


def _block_scale(rows: np.ndarray, largest: int) -> np.ndarray:
    """float16 [Q] of rows float32 [b, Q]."""
    reach = np.abs(rows).max(axis=0) / np.float32(largest)
    best = _float16_up(reach)
    least = _squared_error(rows, best, largest)
    for shrink in _SHRINKS[1:]:
        scale = _float16_up(reach * shrink)
        error = _squared_error(rows, scale, largest)
        better = error < least
        best[better], least[better] = scale[better], error[better]
    return best


def _float16_up(values: np.ndarray) -> np.ndarray:
    """The float16 that is not below, so that the largest value of a block is within reach."""
    nearest = values.astype(np.float16)
    below = nearest.astype(np.float32) < values
    nearest[below] = np.nextafter(nearest[below], np.float16(np.inf))
    return np.minimum(nearest, np.finfo(np.float16).max)


def _squared_error(rows: np.ndarray, scale: np.ndarray, largest: int) -> np.ndarray:
    wide = scale.astype(np.float32)
    difference = round_to(rows, wide, largest) * wide
    difference -= rows
    return np.einsum("bq,bq->q", difference, difference)


def calibrated_rounding(
    matrix: np.ndarray, statistics: np.ndarray, block: int, largest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rounds row by row and makes the later rows answer for the error of the earlier ones (GPTQ).

    The error that counts is that of the products X @ matrix with real inputs X. Once a row is rounded, what it is off
    by is taken up by the rows of its group that are not rounded yet, as far as the inputs go together: by the inverse
    of the group's X^T X.

    Args:
        matrix: float32 [P, Q].
        statistics: [G, R, R], X^T X of each group of rows (see `Codec.encode`).
        block: Rows that share a scale; a block may lie in several groups.
        largest: Values are from -largest to largest.

    Returns:
        int8 [P, Q] and the float16 scales [ceil(P / b), Q].

    Reference: Frantar et al. 2023, https://arxiv.org/abs/2210.17323.
    """
    values = np.empty(matrix.shape, np.int8)
    scales = np.empty((-(-len(matrix) // block), matrix.shape[1]), np.float16)
    for rows, moments in row_groups(statistics, len(matrix)):
        upper = _inverse_factor(moments)
        # A block that goes on behind the group has one scale, of all its rows.
        needed = slice(rows.start, -(-rows.stop // block) * block)
        for start in range(0, matrix.shape[1], _COLUMNS):
            part = slice(start, start + _COLUMNS)
            left = matrix[needed, part].copy()
            _round_group(left, rows.start, upper, block, largest, values[rows, part], scales[:, part])
    return values, scales


def _round_group(
    left: np.ndarray,
    first: int,
    upper: np.ndarray,
    block: int,
    largest: int,
    values: np.ndarray,
    scales: np.ndarray,
) -> None:
    """Rounds the rows of a group.

    Args:
        left: float32 [at least r, Q], the group's r rows, which are changed, and those behind it of its last block.
        first: The place of the group's first row in the kernel.
        upper: float32 [r, r], see `_inverse_factor`.
        block: Rows that share a scale.
        largest: Values are from -largest to largest.
        values: int8 [r, Q], which is filled.
        scales: float16 [ceil(P / b), Q] of the whole kernel. Those of the blocks that begin in the group are filled.
    """
    rows = len(upper)
    start = 0
    while start < rows:
        index, within = divmod(first + start, block)
        if within == 0:
            scales[index] = _block_scale(left[start : start + block], largest)
        stop = min(rows, start + _STEP, start - within + block)
        scale = scales[index].astype(np.float32)
        errors = np.empty((stop - start, left.shape[1]), np.float32)
        for row in range(start, stop):
            rounded = round_to(left[row], scale, largest)
            values[row] = rounded
            errors[row - start] = (left[row] - rounded * scale) / upper[row, row]
            left[row + 1 : stop] -= np.outer(upper[row, row + 1 : stop], errors[row - start])
        left[stop:rows] -= upper[start:stop, stop:].T @ errors
        start = stop


def _inverse_factor(moments: np.ndarray) -> np.ndarray:
    """float32 [r, r] upper triangular U with U^T U the inverse of the damped second moments [r, r]."""
    from scipy import linalg  # here: sizes are asked for where nothing is computed

    moments = np.array(moments, np.float64)
    mean = float(np.trace(moments)) / len(moments)
    moments[np.diag_indices_from(moments)] += _DAMPING * mean if mean > 0 else 1.0
    lower = linalg.cholesky(moments, lower=True, overwrite_a=True, check_finite=False)
    inverse, failed = linalg.lapack.dpotri(lower, lower=1, overwrite_c=1)
    if failed:
        raise ValueError(f" cannot be rounded by its inputs' second moments (LAPACK dpotri says {failed})")
    inverse = np.tril(inverse)
    inverse += np.tril(inverse, -1).T
    return linalg.cholesky(inverse, lower=False, overwrite_a=True, check_finite=False).astype(np.float32)
