"""Weights of an ensemble: some that are good without a search, and tuned ones."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize

from components.ensemble_assembler.ensemble import Combination
from components.ensemble_assembler.reduced_scores import ReducedScores

_SHARPNESSES = (0.0, 0.5, 1.0, 1.5, 2.5, 4.0)
_LARGEST_LOG_RATIO = 3.0
"""No tuned weight is more than 20 times another: one that wants to be is noise, or its member superfluous."""
_FIRST_STEP = 0.4
_EVALUATIONS_A_WEIGHT = 40
_LOG_RATIO_TOLERANCE = 3e-2
_GAP_TOLERANCE = 1e-5
"""A third of the first and a hundredth of the second, and twice the evaluations, find GAP at most 4e-6 higher (50 tuned
ensembles of 18 members, 17,600 videos)."""


class MeritWeights:
    """Weights that grow with each member's own GAP: exp(sharpness * GAP / spread of the members' GAPs).

    One sharpness is chosen for all combinations, from 0 (equal weights) upwards. The paper's best weights, 0.39, 0.26,
    0.21 and 0.14, lie within 0.02 of sharpness 2.5.

    Args:
        reduced: Scores of the members.
        sample: Combinations of members. The sharpness is chosen that gives them the highest mean GAP.
        videos: How many videos GAP is measured on for this; None for all.
    """

    def __init__(
        self, reduced: ReducedScores, sample: Sequence[Combination], videos: int | None = None
    ) -> None:
        gaps = np.array([reduced.gap((member,), [1.0], videos) for member in range(reduced.members)])
        spread = np.ptp(gaps)
        self._merits = (gaps - gaps.max()) / spread if spread else np.zeros(len(gaps))
        self.sharpness = 0.0
        means = []
        for sharpness in _SHARPNESSES:
            self.sharpness = sharpness
            means.append(sum(reduced.gap(members, self.weights(members), videos) for members in sample))
        self.sharpness = _SHARPNESSES[int(np.argmax(means))]

    def weights(self, members: Combination) -> np.ndarray:
        """Returns the weights of a combination: float64 [members], positive, of sum 1."""
        weights = np.exp(self.sharpness * self._merits[list(members)])
        return weights / weights.sum()


def equal_weights(members: Combination) -> np.ndarray:
    """Returns the same weight for every member: float64 [members], of sum 1."""
    return np.full(len(members), 1 / len(members))


def tuned_weights(reduced: ReducedScores, members: Combination, start: np.ndarray) -> np.ndarray:
    """Searches for weights of higher GAP than that of the given ones.

    GAP is piecewise constant in the weights, so there is no gradient to follow: scipy's Nelder-Mead searches over the
    logarithms of the ratios of the weights to the first one. GAP is the same for all multiples of the weights.

    Args:
        reduced: Scores of the members.
        members: The combination.
        start: The weights that the search starts from: float64 [members], positive.

    Returns:
        The weights that were found, float64 [members], positive, of sum 1; `start` where none were better.
    """
    if len(members) == 1:
        return np.ones(1)

    def weights_at(point: np.ndarray) -> np.ndarray:
        weights = np.exp(np.append(0.0, point))
        return weights / weights.sum()

    origin = np.clip(np.log(start[1:] / start[0]), -_LARGEST_LOG_RATIO, _LARGEST_LOG_RATIO)
    # Towards the middle, so that the first points are distinct within the bounds.
    steps = np.diag(np.where(origin > 0, -_FIRST_STEP, _FIRST_STEP))
    result = minimize(
        lambda point: -reduced.gap(members, weights_at(point)),
        origin,
        method="Nelder-Mead",
        bounds=[(-_LARGEST_LOG_RATIO, _LARGEST_LOG_RATIO)] * len(origin),
        options={
            "initial_simplex": np.vstack([origin, origin + steps]),
            "maxfev": _EVALUATIONS_A_WEIGHT * len(members),
            "xatol": _LOG_RATIO_TOLERANCE,
            "fatol": _GAP_TOLERANCE,
        },
    )
    return weights_at(result.x) if -result.fun > reduced.gap(members, start) else start
