"""The stop rule: one round of successive halving, with the paper's rule of inferior models as its judge.

Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (2016), for the
halving; the paper leaves a model out that is larger than another one and no better.
"""

from collections.abc import Sequence

from components.half_time.report import HalfTimeResult
from trainer.model.architectures import ARCHITECTURES
from trainer.training.config import TrainingConfig


def half_time(training: TrainingConfig) -> int:
    """Returns the step at which the first half of a training ends.

    It is the step of the last snapshot in the first half or, where there is none, half of all steps.

    >>> half_time(TrainingConfig(steps=200_000, snapshot_every=2_000))
    100000
    """
    half = training.steps // 2
    return half // training.snapshot_every * training.snapshot_every or max(half, 1)


def stopped_for(results: Sequence[HalfTimeResult], lead: float) -> list[str | None]:
    """Finds the variants that need no other half of training, because a smaller one is better already.

    A variant is stopped if another one of its family is smaller and its GAP at the same step is larger by more than the
    lead. Of all such others the best is named, which is never stopped itself. Variants at different steps are not
    compared, and variants of other families neither, since the assembler keeps the best of each.

    Args:
        results: What each variant has reached at half time.
        lead: Difference of GAP, 0 to 1, that is not taken for noise.

    Returns:
        For each result, in their order, the name of the better variant, or None if the variant goes on.
    """
    return [_best_that_beats(one, results, lead) for one in results]


def _best_that_beats(one: HalfTimeResult, results: Sequence[HalfTimeResult], lead: float) -> str | None:
    better = [other for other in results if _beats(other, one, lead)]
    return max(better, key=lambda other: (other.gap, -other.bytes)).variant if better else None


def _beats(one: HalfTimeResult, other: HalfTimeResult, lead: float) -> bool:
    if ARCHITECTURES.parse(one.variant).PREFIX != ARCHITECTURES.parse(other.variant).PREFIX:
        return False
    return one.step == other.step and one.bytes < other.bytes and one.gap > other.gap + lead
