"""Which models may become members, and which combinations of them fit (paper, "ensemble")."""

from collections.abc import Iterator, Sequence

from components.ensemble_assembler.ensemble import Combination, ModelEntry

FORM_TOLERANCE = 5e-5
"""GAP that a larger form of a model must have more than a smaller one, or it is left out: less than what one
eval split tells from another."""


def inferior_to(models: Sequence[ModelEntry]) -> list[int | None]:
    """Finds for each model the one of its family that makes it superfluous: smaller or as small, and better or as good.

    Models of another family make no model superfluous: they err on other videos, so the worse of two may add more to an
    ensemble than one of the better kind. Nor do those of the same architecture, which differ in their seeds or in what
    they were trained towards. Of models equal in both the first stays. The one that is named stays itself, so it is the
    best reason.

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
    if type(a.architecture) is not type(b.architecture) or a.architecture == b.architecture:
        return False
    if (a.bytes, a.gap) == (b.bytes, b.gap):
        return one < other
    return a.bytes <= b.bytes and a.gap >= b.gap


def needless_forms(models: Sequence[ModelEntry]) -> list[int | None]:
    """Finds for each form the smaller form of the same model that is as good, but for FORM_TOLERANCE; else None.

    A form whose GAP is not known (NaN) stays. The one that is named stays, so no more than the tolerance is lost.
    """
    reasons: list[int | None] = [None] * len(models)
    kept: list[int] = []
    for index in sorted(range(len(models)), key=lambda k: (models[k].bytes, -models[k].gap)):
        same = [other for other in kept if models[other].model == models[index].model]
        best = max(same, key=lambda other: models[other].gap, default=None)
        if best is not None and models[index].gap <= models[best].gap + FORM_TOLERANCE:
            reasons[index] = best
        else:
            kept.append(index)
    return reasons


def fitting_combinations(
    sizes: Sequence[int], limit: int, models: Sequence[int] | None = None, at_most: int | None = None
) -> list[Combination] | None:
    """Returns all sets of members whose sizes add up to no more than the limit, fewest members first.

    Args:
        sizes: Bytes of each model, or of each form of a model.
        limit: Bytes of all together.
        models: Ascending; entries of the same number are forms of one model, which a set has once at most. None:
            each is a model of its own.
        at_most: None is returned where there are more combinations than these.
    """
    found: list[Combination] = []
    for level in _levels(sizes, limit, models or range(len(sizes))):
        found += level
        if at_most is not None and len(found) > at_most:
            return None
    return found


def _levels(sizes: Sequence[int], limit: int, models: Sequence[int]) -> Iterator[list[Combination]]:
    """The sets of one member that fit, those of two, and so on."""
    level: list[tuple[Combination, int]] = [((), 0)]
    while True:
        level = [
            ((*members, index), total + sizes[index])
            for members, total in level
            for index in range(members[-1] + 1 if members else 0, len(sizes))
            if total + sizes[index] <= limit and not (members and models[members[-1]] == models[index])
        ]
        if not level:
            return
        yield [members for members, _ in level]
