"""One model that the averager has evaluated."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A single snapshot, or the average of all snapshots of a range.

    Attributes:
        kind: `single` for a snapshot, `average` for a range.
        first_step: Training step of the first snapshot.
        last_step: Training step of the last one.
        snapshots: How many snapshots were averaged; 1 for a single one.
        gap: GAP on the eval split, 0 to 1.
    """

    kind: Literal["single", "average"]
    first_step: int
    last_step: int
    snapshots: int
    gap: float

    def __str__(self) -> str:
        if self.kind == "single":
            return f"step {self.last_step}"
        return f"average of {self.snapshots} snapshots, steps {self.first_step} to {self.last_step}"
