"""Which models may become members, and which combinations of them fit (paper, "ensemble")."""

import logging
from collections.abc import Sequence

from components.ensemble_assembler.ensemble import Combination, ModelEntry

_logger = logging.getLogger("yt8m.assembler")

MAX_COMBINATIONS = 300_000
"""More are not searched: 2 ** 18 and the paper's 14,224 are below."""


def inferior_to(models: Sequence[ModelEntry]) -> list[int | None]:
    """For each model the one that makes it superfluous: smaller or as small, and better or as good.

    Of models equal in both the first stays. The one that is named stays itself, so it is the best reason.

    Returns:
        The index of the other model, or None for a model that stays.
    """
    kept = [
        index
        for index, model in enumerate(models)
        if not any(_beats(models, other, index) for other in range(len(models)))
    ]
    return [
        None
        if index in kept
        else max((other for other in kept if _beats(models, other, index)), key=lambda k: models[k].gap)
        for index in range(len(models))
    ]


def _beats(models: Sequence[ModelEntry], one: int, other: int) -> bool:
    a, b = models[one], models[other]
    if (a.bytes, a.gap) == (b.bytes, b.gap):
        return one < other
    return a.bytes <= b.bytes and a.gap >= b.gap


def fitting_combinations(
    sizes: Sequence[int], limit: int, at_most: int = MAX_COMBINATIONS
) -> list[Combination]:
    """All sets of members whose sizes add up to no more than the limit, fewest members first.

    Args:
        sizes: Bytes of each model.
        limit: Bytes of all together.
        at_most: With more combinations than these, the ones of most members are left out (the log says so): the
            paper found three to four members to be best.
    """
    level: list[tuple[Combination, int]] = [((), 0)]
    found: list[Combination] = []
    while level:
        level = [
            ((*members, index), total + sizes[index])
            for members, total in level
            for index in range(members[-1] + 1 if members else 0, len(sizes))
            if total + sizes[index] <= limit
        ]
        if len(found) + len(level) > at_most:
            _logger.warning(
                "more than %d combinations fit: those of %d and more members are not searched",
                *(at_most, len(level[0][0])),
            )
            break
        found += [members for members, _ in level]
    return found
