"""What a training run tells whoever shows it. Log records of `yt8m.train` carry it as their attribute `progress`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """How far the training of a variant is.

    Attributes:
        variant: Its name.
        step: Steps done.
        steps: Of all.
        videos_per_second: Since the last time; None where nothing was measured since.
        seconds_left: At that speed; None likewise.
        gap: Of the last snapshot, on the eval slice; None where there is none yet.
        logs: Directory of TensorBoard's event files.
    """

    variant: str
    step: int
    steps: int
    videos_per_second: float | None
    seconds_left: float | None
    gap: float | None
    logs: str
