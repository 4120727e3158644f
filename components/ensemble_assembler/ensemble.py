"""Members and ensembles as the search sees them."""

from dataclasses import dataclass

import numpy as np

from trainer.model.architectures import Architecture

Combination = tuple[int, ...]
"""Ascending indices of members."""


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A model in one of its stored forms, that may become a member.

    Attributes:
        variant: What reports call it.
        bytes: Bytes of its tensors as stored.
        gap: Its GAP on the eval split.
        architecture: Its architecture.
        form: Name of its stored form.
        model: Index of the model; an ensemble has each model once at most, in one form.
    """

    variant: str
    bytes: int
    gap: float
    architecture: Architecture
    form: str = "float16"
    model: int = 0


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Members, by index, and what their probabilities are multiplied with; `weights` sums to 1.

    Attributes:
        members: Ascending indices.
        weights: The weight of each member.
        gap: GAP of the ensemble on the eval split, as far as it is known.
    """

    members: Combination
    weights: tuple[float, ...]
    gap: float = 0.0


def rounded_weights(weights: np.ndarray, units: int = 10_000) -> tuple[float, ...]:
    """Scales positive weights to the sum 1, in ten-thousandths: what a report prints is what is used.

    >>> rounded_weights(np.array([2.0, 1.0]))
    (0.6667, 0.3333)
    """
    shares = np.asarray(weights, np.float64) / np.sum(weights) * units
    whole = np.floor(shares).astype(int)
    largest_rests = np.argsort(whole - shares, kind="stable")[: units - whole.sum()]
    whole[largest_rests] += 1
    return tuple((whole / units).tolist())
