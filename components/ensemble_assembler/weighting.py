"""Weights of an ensemble: good ones at once, and tuned ones."""

import numpy as np
from scipy.optimize import minimize, nnls

from components.ensemble_assembler.ensemble import Combination
from components.ensemble_assembler.reduced_scores import ReducedScores

_RIDGE = 1e-4
_LARGEST_LOG_RATIO = 3.0
"""No tuned weight is more than 20 times another: one that wants to be is noise, or its member superfluous."""
_FIRST_STEP = 0.4
_EVALUATIONS_A_WEIGHT = 40


class LeastSquares:
    """Non-negative weights whose mix is nearest to the labels, in closed form.

    The sums over videos and classes are taken once; a combination then costs the solution of a system of as many
    equations as it has members.
    """

    def __init__(self, reduced: ReducedScores) -> None:
        flat = reduced.scores.reshape(reduced.members, -1)
        self._products = (flat @ flat.T).astype(np.float64)
        self._targets = (flat @ reduced.hits.ravel().astype(np.float32)).astype(np.float64)

    def weights(self, members: Combination) -> np.ndarray:
        """float64, positive, one a member, of sum 1."""
        products = self._products[np.ix_(members, members)]
        ridge = _RIDGE * np.trace(products) / len(members) + np.finfo(np.float64).tiny
        factor = np.linalg.cholesky(products + ridge * np.eye(len(members)))
        weights, _ = nnls(factor.T, np.linalg.solve(factor, self._targets[list(members)]))
        if not weights.any():
            return equal_weights(members)
        weights = np.maximum(weights, weights.max() * np.exp(-_LARGEST_LOG_RATIO))
        return weights / weights.sum()


def equal_weights(members: Combination) -> np.ndarray:
    """The same for every member."""
    return np.full(len(members), 1 / len(members))


def tuned_weights(reduced: ReducedScores, members: Combination, start: np.ndarray) -> np.ndarray:
    """Weights of higher GAP than the start, or the start.

    GAP is piecewise constant in the weights, so nothing is derived: Nelder and Mead's search (scipy) over the
    logarithms of the weights against the first one, GAP being the same for all multiples of the weights.

    Returns:
        float64, positive, one a member, of sum 1.
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
            "xatol": 1e-2,
            "fatol": 1e-7,
        },
    )
    return weights_at(result.x) if -result.fun > reduced.gap(members, start) else start
