"""The progress of a training, for whoever shows it.

Log records of the logger `yt8m.train` carry it as their attribute `progress`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """The progress of the training of a model.

    Attributes:
        variant: Name of the model's architecture.
        step: Number of steps done.
        steps: Number of all steps.
        videos_per_second: Speed since the progress that was told before; None where none was measured.
        seconds_left: Time to the end at that speed; None where none was measured.
        gap: GAP of the last snapshot on the eval slice, 0 to 1; None before the first one.
        logs: Directory of TensorBoard's event files.
    """

    variant: str
    step: int
    steps: int
    videos_per_second: float | None
    seconds_left: float | None
    gap: float | None
    logs: str
