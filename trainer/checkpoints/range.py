"""A range of snapshots. It imports nothing, so that ranges can be counted before anything is started."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Range:
    """A range of snapshots.

    Attributes:
        first: Index of its first snapshot in the list of snapshots.
        last: Index of its last snapshot, which belongs to the range.
        decay: Weight of a snapshot in units of the next one's, above 0: 1 for the arithmetic mean, less for an
            exponential moving average.
    """

    first: int
    last: int
    decay: float = 1.0

    @property
    def count(self) -> int:
        """Number of snapshots."""
        return self.last - self.first + 1

    @property
    def weight(self) -> float:
        """Sum of the weights of its snapshots, in units of the last one's."""
        return sum(self.decay**age for age in range(self.count))
