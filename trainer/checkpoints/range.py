"""A range of snapshots. It imports nothing, so that ranges can be counted before anything is started."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Range:
    """A range of snapshots.

    Attributes:
        first: Index of its first snapshot in the list of snapshots.
        last: Index of its last snapshot, which belongs to the range.
    """

    first: int
    last: int

    @property
    def count(self) -> int:
        """Number of snapshots."""
        return self.last - self.first + 1
