"""The best ensembles under a size limit: all combinations screened, the best ones tuned, the best of those exact."""

import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np

from components.ensemble_assembler.ensemble import Combination, Ensemble, rounded_weights
from components.ensemble_assembler.exact import exact_gaps
from components.ensemble_assembler.reduced_scores import ReducedScores
from components.ensemble_assembler.score_file import EvalScores
from components.ensemble_assembler.weighting import MeritWeights, equal_weights, tuned_weights

_logger = logging.getLogger("yt8m.assembler")

TUNED = 50
"""Combinations whose weights are tuned."""
REPORTED = 20
"""Ensembles whose exact GAP is measured."""
_SCREENED_VIDEOS = 14_224 * 4_400
"""Combinations times videos of one round of screening. Of the paper's 14,224 the first round looks at a quarter of the
videos and keeps the best 3,556: on synthetic scores the 50 that are best on all videos were among its best 1,129."""
_LEAST_VIDEOS = 1_000
_SURVIVORS = 4
"""A round of screening keeps one combination in so many, and looks at so many times more videos."""

_SAMPLE = 30
"""Combinations that the weights for screening are chosen by."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def best_ensembles(data: EvalScores, combinations: Sequence[Combination], seed: int = 0) -> list[Ensemble]:
    """Finds the best ensembles of the combinations, with their exact GAP, best first.

    Args:
        data: Scores and labels; members are indices into them.
        combinations: The combinations of members to choose from; at least one.
        seed: Seed of all random choices: of the videos that very many combinations are first judged by, and of
            samples of combinations.

    Returns:
        Up to REPORTED ensembles, by descending GAP.
    """
    members = sorted({member for combination in combinations for member in combination})
    place = {member: index for index, member in enumerate(members)}
    reduced = ReducedScores.of(data, members, seed)
    local = [tuple(place[member] for member in combination) for combination in combinations]
    # The arrays' arithmetic lets go of the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        starts = _screen(reduced, local, seed, pool)
        _logger.info("tuning the weights of %d combinations", len(starts))
        tuned = _map(pool, lambda item: _tuned(reduced, *item), starts)
    tuned.sort(key=lambda ensemble: -ensemble.gap)
    ensembles = []
    for ensemble in tuned[:REPORTED]:
        chosen = tuple(members[index] for index in ensemble.members)
        ensembles.append(Ensemble(members=chosen, weights=ensemble.weights))
    return _measured(data, ensembles)


def _screen(
    reduced: ReducedScores, combinations: Sequence[Combination], seed: int, pool: ThreadPoolExecutor
) -> list[tuple[Combination, np.ndarray]]:
    """The TUNED most promising combinations, with the weights that they were screened with."""
    videos = min(reduced.videos, max(_LEAST_VIDEOS, _SCREENED_VIDEOS // len(combinations)))
    chosen = np.random.default_rng(seed).permutation(len(combinations))[:_SAMPLE]
    merit = MeritWeights(reduced, [combinations[index] for index in chosen], videos)
    remaining = [(members, merit.weights(members)) for members in combinations]
    while True:
        _logger.info("screening %d combinations on %d videos", len(remaining), videos)
        gaps = _map(pool, partial(_gap, reduced, videos), remaining)
        last = videos == reduced.videos
        keep = TUNED if last else max(20 * TUNED, len(remaining) // _SURVIVORS)
        order = sorted(range(len(remaining)), key=lambda index: -gaps[index])[:keep]
        remaining = [remaining[index] for index in order]
        if last:
            return remaining
        videos = min(reduced.videos, videos * _SURVIVORS)


def _gap(reduced: ReducedScores, videos: int, candidate: tuple[Combination, np.ndarray]) -> float:
    return reduced.gap(*candidate, videos)


def _tuned(reduced: ReducedScores, members: Combination, start: np.ndarray) -> Ensemble:
    start = max((start, equal_weights(members)), key=lambda weights: reduced.gap(members, weights))
    weights = rounded_weights(tuned_weights(reduced, members, start))
    return Ensemble(members=members, weights=weights, gap=reduced.gap(members, weights))


def _measured(data: EvalScores, ensembles: Sequence[Ensemble]) -> list[Ensemble]:
    """Measures the exact GAP and sorts by it; equal weights take the place of tuned ones that are no better."""
    plain = [rounded_weights(equal_weights(ensemble.members)) for ensemble in ensembles]
    pairs = [(ensemble.members, ensemble.weights) for ensemble in ensembles]
    pairs += [(ensemble.members, weights) for ensemble, weights in zip(ensembles, plain, strict=True)]
    gaps = exact_gaps(data, pairs)
    count = len(ensembles)
    measured = []
    for index, ensemble in enumerate(ensembles):
        tuned_gap, plain_gap = gaps[index], gaps[index + count]
        weights, gap = (ensemble.weights, tuned_gap) if tuned_gap > plain_gap else (plain[index], plain_gap)
        measured.append(Ensemble(members=ensemble.members, weights=weights, gap=gap))
    return sorted(measured, key=lambda ensemble: (-ensemble.gap, len(ensemble.members)))


def _map(pool: ThreadPoolExecutor, work: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
    return list(pool.map(work, items))
