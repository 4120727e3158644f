"""Which snapshots are tried alone, and which ranges of them as averages."""

import logging
import math
from collections.abc import Sequence

from components.checkpoint_averager.config import AveragingConfig
from trainer.checkpoints.averaging import Range

_logger = logging.getLogger("yt8m.averager")

_STARTS = (1 / 8, 1 / 4, 1 / 2, 3 / 4)
"""How far before the best single snapshot a range starts, as a share of the snapshots until there."""
_ENDS = (0, 1 / 2, 1)
"""How far after it a range ends, as a share of the snapshots that follow."""


def single_indices(count: int, every: int) -> list[int]:
    """Every so many of `count` snapshots, the last always among them; ascending.

    >>> single_indices(8, 3)
    [1, 4, 7]
    """
    return list(range(count - 1, -1, -every))[::-1]


def configured_ranges(config: AveragingConfig, steps: Sequence[int]) -> list[Range]:
    """The recipe's ranges, without those that hold no snapshot (which the log says).

    A range that is empty because training was shorter than planned must not lose the days it took.
    """
    wanted = [(f"steps {list(pair)}", *pair) for pair in config.steps]
    wanted += [
        (f"fractions {list(pair)}", pair[0] * steps[-1], pair[1] * steps[-1]) for pair in config.fractions
    ]
    ranges = []
    for text, start, end in wanted:
        inside = [index for index, step in enumerate(steps) if start <= step <= end]
        if inside:
            ranges.append(Range(inside[0], inside[-1]))
        else:
            _logger.warning("averaging.%s: none of the snapshots %d..%d is in it", text, steps[0], steps[-1])
    return ranges


def automatic_ranges(count: int, best: int) -> list[Range]:
    """Ranges with varying start and end around the best single snapshot (paper, "checkpoint averaging").

    While a model still improves, its best single snapshot is the last one, and the average of more or fewer
    before it is better; where it has begun to over-fit or only rattles, good snapshots lie on both sides.

    Args:
        count: Number of snapshots.
        best: Index of the best single one.

    Returns:
        Up to 12 distinct ranges, each of at least two snapshots.
    """
    starts = {max(0, best - math.ceil(share * best)) for share in _STARTS}
    ends = {best + math.floor(share * (count - 1 - best) + 0.5) for share in _ENDS}
    return sorted(Range(start, end) for start in starts for end in ends if end > start)
