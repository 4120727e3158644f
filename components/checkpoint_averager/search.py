"""The best single snapshot or average of snapshots on the eval split.

The paper: evaluate single checkpoints at an interval for the rough range of good steps; then, for a few
ranges with varying start and end, average all checkpoints in the range, evaluate each average, and keep the
best one.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from components.checkpoint_averager.candidate import Candidate
from components.checkpoint_averager.config import AveragingConfig
from components.checkpoint_averager.ranges import automatic_ranges, configured_ranges, single_indices
from trainer.base.errors import UserError
from trainer.checkpoints.averaging import average_snapshots
from trainer.checkpoints.range import Range
from trainer.checkpoints.snapshots import Snapshot, read_snapshot

_logger = logging.getLogger("yt8m.averager")

Weights = Mapping[str, np.ndarray]
Evaluate = Callable[[Weights], float]
"""A function that measures the GAP of weights on the eval split."""
Settle = Callable[[Weights], Weights]
"""A function that changes an average before it is evaluated (and kept)."""


@dataclass(frozen=True)
class Search:
    """What a search has found.

    Attributes:
        candidates: All candidates, in the order of their evaluation.
        best: The best of them.
        weights: The float32 weights of the best one, by name.
    """

    candidates: tuple[Candidate, ...]
    best: Candidate
    weights: Weights

    def best_of(self, kind: str) -> Candidate | None:
        """Returns the best candidate of a kind, `single` or `average`; None where there is none."""
        return max((one for one in self.candidates if one.kind == kind), key=_merit, default=None)


def search(
    snapshots: Sequence[Snapshot],
    config: AveragingConfig,
    evaluate: Evaluate,
    scratch: str,
    settle: Settle = lambda weights: weights,
    planned: Sequence[int] = (),
) -> Search:
    """Evaluates single snapshots and averages; the best of both is never worse than the best single one.

    Args:
        snapshots: All snapshots of one variant, ascending by step.
        config: Says which single snapshots and which ranges are evaluated.
        evaluate: Measures the GAP of weights; called once for each candidate.
        scratch: Local directory with room for one float32 model for each average. The result's weights lie in it, so
            it must outlive them.
        settle: Called with each average; returns the weights that are evaluated in its place.
        planned: Steps of the snapshots among which one in every so many is evaluated by itself, ascending, where some
            of them were left out as of no use.

    Raises:
        UserError: If there is no snapshot, or none has finite weights.
    """
    if not snapshots:
        raise UserError(
            "there is no snapshot to average: training.snapshot_every is larger than training.steps, or the "
            "model_run is not one of this project's Trainer"
        )
    steps = [snapshot.step for snapshot in snapshots]
    explicit = configured_ranges(config, steps)
    alone = {one.first for one in explicit if one.count == 1}  # an average of one is a single snapshot
    singles: dict[int, Candidate] = {}
    planned = planned or steps
    counted = {planned[index] for index in single_indices(len(planned), config.single_every)}
    for index in sorted(alone.union(index for index, step in enumerate(steps) if step in counted)):
        candidate = _evaluated(
            "single", steps, Range(index, index), read_snapshot(snapshots[index].prefix), evaluate
        )
        if candidate:
            singles[index] = candidate
    ranges = {one for one in explicit if one.count > 1}
    if config.automatic and singles:
        ranges.update(automatic_ranges(len(steps), max(singles, key=lambda index: _merit(singles[index]))))
    if len(steps) > 1:
        ranges.update(Range(0, len(steps) - 1, decay) for decay in config.decays)
    averages: dict[Candidate, Weights] = {}
    ordered = sorted(ranges)
    for one, average in zip(ordered, average_snapshots(snapshots, ordered, scratch), strict=True):
        weights = settle(average)
        candidate = _evaluated("average", steps, one, weights, evaluate)
        if candidate:
            averages[candidate] = weights
    candidates = (*singles.values(), *averages)
    if not candidates:
        raise UserError(
            f"all {len(steps)} snapshots up to step {steps[-1]} hold weights that are not finite: training "
            "diverged, lower training.learning_rate"
        )
    best = max(candidates, key=_merit)
    weights = (
        averages[best]
        if best.kind == "average"
        else read_snapshot(snapshots[steps.index(best.last_step)].prefix)
    )
    return Search(candidates, best, weights)


def _merit(candidate: Candidate) -> tuple[float, int]:
    """Higher is better; of equal GAP the average over more snapshots, which is less a matter of luck."""
    return candidate.gap, candidate.snapshots


def _evaluated(
    kind: str, steps: Sequence[int], one: Range, weights: Weights, evaluate: Evaluate
) -> Candidate | None:
    first, last = steps[one.first], steps[one.last]
    for name, value in weights.items():
        if not np.isfinite(value).all():
            _logger.warning("steps %d to %d: left out, %s is not finite", first, last, name)
            return None
    candidate = Candidate(
        kind=kind,
        first_step=first,
        last_step=last,
        snapshots=one.count,
        gap=evaluate(weights),
        decay=one.decay if one.decay < 1 else None,
    )
    _logger.info("%s: GAP %.4f", candidate, candidate.gap)
    return candidate
