"""Second moments of a kernel's inputs, as codecs take them: blocks along the diagonal of X^T X.

Legend: P rows of the kernel, G groups of rows, R rows of a group.
"""

from collections.abc import Iterator

import numpy as np


def row_groups(statistics: np.ndarray, rows: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Gives the groups of a kernel's rows, each with the second moments of its inputs.

    Args:
        statistics: [G, R, R], see `Codec.encode`.
        rows: P. The last group has fewer than R rows where R does not divide it.

    Yields:
        The places of a group's rows in the kernel, and the moments [r, r] of these r rows.
    """
    size = statistics.shape[1]
    for group, moments in enumerate(statistics):
        start, stop = group * size, min((group + 1) * size, rows)
        yield slice(start, stop), moments[: stop - start, : stop - start]
