"""Which snapshots are evaluated and averaged: the `averaging` section of a recipe."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field

from trainer.base.settings import GrownSettings


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= pair[0] <= pair[1]:
        raise ValueError("a range is [start, end] with 0 <= start <= end")
    return pair


def _at_most_one(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[1] > 1:
        raise ValueError("a range of fractions ends at 1.0 or before")
    return pair


FractionRange = Annotated[tuple[float, float], AfterValidator(_ascending), AfterValidator(_at_most_one)]
StepRange = Annotated[tuple[int, int], AfterValidator(_ascending)]


class AveragingConfig(GrownSettings):
    """Candidates of the checkpoint averager (paper, "checkpoint averaging").

    Single snapshots, and averages of all snapshots of each range, are evaluated; the best of all is kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    LATER: ClassVar = ("decays",)

    single_every: int = Field(
        1,
        ge=1,
        description="Every so many snapshots, counted back from the last, one is evaluated by itself.",
    )
    automatic: bool = Field(
        True,
        description="Average ranges that start before the best single snapshot and end at it or after it.",
    )
    fractions: tuple[FractionRange, ...] = Field(
        (), description="Ranges [start, end] as fractions of the last step: [0.5, 1.0] is the second half."
    )
    steps: tuple[StepRange, ...] = Field((), description="Ranges [first step, last step], both included.")
    decays: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (),
        description="Exponential moving averages of all snapshots: 0.9 weighs each snapshot 0.9 of the next one.",
    )
    batch_norm_videos: int = Field(
        0,
        ge=0,
        description="Videos of the train split on which an average's moving statistics are measured anew; 0 averages "
        "them like all other tensors, as the paper does.",
    )
    batch_size: int = Field(128, ge=1, le=1_000_000, description="Videos scored at once.")
