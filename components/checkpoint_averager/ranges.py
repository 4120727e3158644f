"""Which snapshots are tried alone, and which ranges of them as averages."""

import logging
import math
from collections.abc import Sequence

from components.checkpoint_averager.config import AveragingConfig
from trainer.checkpoints.range import Range

_logger = logging.getLogger("yt8m.averager")

_STARTS = (1 / 8, 1 / 4, 1 / 2, 3 / 4)
"""How far before the best single snapshot a range starts, as a share of the snapshots before it."""
_ENDS = (0, 1 / 2, 1)
"""How far after the best single snapshot a range ends, as a share of the snapshots that follow it."""


def single_indices(count: int, every: int) -> list[int]:
    """Indices of the snapshots that are evaluated by themselves: one in `every`, counted back from the last.

    Args:
        count: Number of snapshots.
        every: Distance between two that are evaluated, at least 1.

    Returns:
        The indices, ascending; the last snapshot is always among them.

    >>> single_indices(8, 3)
    [1, 4, 7]
    """
    return list(range(count - 1, -1, -every))[::-1]


def configured_ranges(config: AveragingConfig, steps: Sequence[int]) -> list[Range]:
    """Returns the ranges that the recipe asks for.

    A range that holds no snapshot is left out with a warning. It is no error: a training that was shorter than planned
    must not be lost for it.

    Args:
        config: The recipe's ranges, in steps and in fractions of the last step.
        steps: Training steps of the snapshots, ascending.

    Returns:
        Each range as the indices of its first and its last snapshot.
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


def needed_steps(config: AveragingConfig, steps: Sequence[int]) -> list[int]:
    """Returns the snapshots that the averager can have a use for, before there are any.

    Args:
        config: The recipe's candidates.
        steps: Training steps of all snapshots, ascending.

    Returns:
        Their steps, ascending; all of them where the ranges depend on which snapshot will be the best, and for moving
        averages.

    >>> needed_steps(AveragingConfig(single_every=3, automatic=False, fractions=[(0.7, 1.0)]), [10, 20, 30, 40, 50, 60])
    [30, 50, 60]
    """
    if config.automatic or config.decays:
        return list(steps)
    needed = set(single_indices(len(steps), config.single_every))
    for one in configured_ranges(config, steps):
        needed.update(range(one.first, one.last + 1))
    return [steps[index] for index in sorted(needed)]


def automatic_ranges(count: int, best: int) -> list[Range]:
    """Ranges with varying start and end around the best single snapshot (paper, "checkpoint averaging").

    While a model still improves, its best single snapshot is the last one, and the average of more or fewer
    before it is better; where it has begun to over-fit or only rattles, good snapshots lie on both sides.

    Args:
        count: Number of snapshots.
        best: Index of the best single snapshot.

    Returns:
        Up to 12 distinct ranges, each of at least two snapshots.
    """
    starts = {max(0, best - math.ceil(share * best)) for share in _STARTS}
    ends = {best + math.floor(share * (count - 1 - best) + 0.5) for share in _ENDS}
    return sorted(Range(start, end) for start in starts for end in ends if end > start)
