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
        decay: Of an exponential moving average, the weight of a snapshot in units of the next one's; else None.
        gap: GAP on the eval split, 0 to 1.
    """

    kind: Literal["single", "average"]
    first_step: int
    last_step: int
    snapshots: int
    gap: float
    decay: float | None = None

    def __str__(self) -> str:
        if self.kind == "single":
            return f"step {self.last_step}"
        what = "average" if self.decay is None else f"moving average (decay {self.decay:g})"
        return f"{what} of {self.snapshots} snapshots, steps {self.first_step} to {self.last_step}"
