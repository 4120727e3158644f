"""The k highest scores of each row, several times faster than sorting or partitioning whole rows.

Legend: B rows (videos), V columns (classes), N candidates.
"""

import numpy as np

from trainer.base.errors import UserError

_BLOCKS = 128
_ROWS = 256
# Measured for V = 3862 and k = 20, in seconds of the processor: 128 to 512 rows at once are within 10 % of each other
# and a fifth faster than 32, 96 to 192 blocks within 10 %. np.partition takes 4 times as long, np.argpartition 10.


def top_k_classes(scores: np.ndarray, k: int) -> np.ndarray:
    """The columns of the k highest scores of each row, highest first; equal scores: the lower column first.

    The k-th highest of the maxima of some blocks of a row cannot be above the row's k-th highest score. So
    two cheap passes, the maxima and a comparison with that bound, leave few more than k candidates to sort.

    >>> top_k_classes(np.array([[0.1, 0.7, 0.7, 0.3]], np.float32), 3)
    array([[1, 2, 3]], dtype=int32)

    Args:
        scores: float32[B, V], no NaN.
        k: Scores a row; V where that is less.

    Returns:
        int32[B, min(k, V)].

    Raises:
        UserError: On a NaN, with the first row that has one.
    """
    k = min(k, scores.shape[1])
    classes = np.empty((len(scores), k), np.int32)
    for start in range(0, len(scores), _ROWS):
        rows = scores[start : start + _ROWS]
        bound = _lower_bound(rows, k)
        if np.isnan(bound).any():
            row = start + int(np.flatnonzero(np.isnan(bound))[0])
            raise UserError(
                f"the scores hold NaN (first in row {row} of the batch): the model's weights are probably "
                "not finite; train it with a lower learning rate or use an earlier snapshot"
            )
        classes[start : start + _ROWS] = _best(rows, np.flatnonzero(rows >= bound[:, None]), k)
    return classes


def descending_order(values: np.ndarray) -> np.ndarray:
    """uint32 whose ascending order is the descending order of float32 values; equal for equal values."""
    # Adding 0 turns -0.0 into 0.0. A float's bits order like an integer's, but for the sign.
    bits = (values + np.float32(0)).view(np.uint32)
    return np.where(bits >> np.uint32(31), bits, ~(bits | np.uint32(2**31)))


def _lower_bound(rows: np.ndarray, k: int) -> np.ndarray:
    """float32[B]: a value that at least k scores of the row reach; NaN for a row that holds one."""
    num_columns = rows.shape[1]
    blocks = max(_BLOCKS, 2 * k)
    height = num_columns // blocks
    if height < 4:  # nothing to gain: all are candidates
        return rows.min(axis=1)
    # Block j holds columns j, j + blocks, j + 2 * blocks, ...: the maximum runs along contiguous memory.
    maxima = rows[:, : height * blocks].reshape(len(rows), height, blocks).max(axis=1)
    bound = np.partition(maxima, blocks - k, axis=1)[:, blocks - k]
    missing = np.isnan(maxima).any(axis=1) | np.isnan(rows[:, height * blocks :]).any(axis=1)
    return np.where(missing, np.float32(np.nan), bound)


def _best(rows: np.ndarray, candidates: np.ndarray, k: int) -> np.ndarray:
    """int32[B, k]: the k best of the candidates, ascending flat indices int64[N], at least k a row."""
    row, column = np.divmod(candidates, rows.shape[1])
    counts = np.bincount(row, minlength=len(rows))
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    # One integer orders by descending score, then by column.
    descending = descending_order(rows.ravel()[candidates]).astype(np.uint64)
    keys = np.full((len(rows), counts.max(initial=k)), np.iinfo(np.uint64).max)
    keys[row, place] = descending << np.uint64(32) | column.astype(np.uint64)
    keys.sort(axis=1)
    return (keys[:, :k] & np.uint64(2**32 - 1)).astype(np.int32)
