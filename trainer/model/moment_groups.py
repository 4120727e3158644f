"""The groups of a kernel's rows whose inputs' second moments are kept: all rows in one, or blocks along the diagonal.

Legend: P rows of a kernel, G groups, R rows of a group.
"""

from collections.abc import Iterator

import numpy as np

from trainer.model.model_spec import ModelSpec

_MOST_WHOLE = 4096
"""Rows of the tallest kernel whose moments are kept whole: 64 MiB. The moments [P, P] of taller ones would take more
memory than the kernels."""
_ROWS = 1024
"""Rows of a group of a taller kernel: its moments take 4 KiB a row."""


def moments_shape(rows: int) -> tuple[int, int, int]:
    """Returns [G, R, R], the shape of the second moments of a kernel's inputs.

    Group g has the rows from g R on. A kernel of at most 4,096 rows has one group, of all its rows; a taller one has
    groups of 1,024 rows, and the moments of its last group are zero beyond the kernel's last row.

    >>> moments_shape(512), moments_shape(26112)
    ((1, 512, 512), (26, 1024, 1024))
    """
    size = rows if rows <= _MOST_WHOLE else _ROWS
    return -(-rows // size), size, size


def moments_shapes(spec: ModelSpec) -> dict[str, tuple[int, int, int]]:
    """Returns `moments_shape` of each compressible kernel by its name."""
    return {
        tensor.name: moments_shape(tensor.shape[0])
        for tensor in spec.tensors
        if tensor.compressible and len(tensor.shape) == 2
    }


def row_groups(statistics: np.ndarray, rows: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Gives the groups of a kernel's rows, each with the second moments of its inputs.

    Args:
        statistics: [G, R, R], of `moments_shape`.
        rows: P. The last group has fewer than R rows where R does not divide it.

    Yields:
        The places of a group's rows in the kernel, and the moments [r, r] of these r rows.
    """
    size = statistics.shape[1]
    for group, moments in enumerate(statistics):
        start, stop = group * size, min((group + 1) * size, rows)
        yield slice(start, stop), moments[: stop - start, : stop - start]
