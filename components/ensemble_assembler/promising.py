"""Which combinations of models and of their stored forms are worth a closer look.

All of them, up to the number that the paper looked at; of more the most promising ones, so that the time is bounded.

A form changes a model's scores by little and its bytes by much, so the forms of a set of models can be chosen after
the models: sets grow with all models in forms of one rank (all in their smallest, all in the next, and so on), and the
best of them are then changed a step at a time: another form, a member more or a member less.
"""

import logging
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from components.ensemble_assembler.ensemble import Combination, ModelEntry
from components.ensemble_assembler.reduced_scores import ReducedScores
from components.ensemble_assembler.score_file import EvalScores
from components.ensemble_assembler.selection import fitting_combinations
from components.ensemble_assembler.weighting import MeritWeights

_logger = logging.getLogger("yt8m.assembler")

EXHAUSTIVE = 14_224
"""Up to so many combinations, the paper's number, all are searched."""
_VIDEOS = 4_400
"""Videos of the eval split that combinations are compared on here: as many as a first round of screening has."""
_BEAM = 12
"""Sets that grow on, of each number of members."""
_STEPPED = 40
"""Best sets whose neighbours are looked at."""
_RETURNED = 1_000
_SAMPLE = 30


def promising_combinations(
    data: EvalScores, models: Sequence[ModelEntry], kept: Sequence[int], limit: int, seed: int = 0
) -> list[Combination]:
    """Finds combinations that fit, each model in one form: all, or the most promising where those are too many.

    Args:
        data: Scores of all forms.
        models: The entry of each form; the forms of one model follow each other.
        kept: Ascending indices of the entries to choose from.
        limit: Bytes of all members together.
        seed: Seed of the choice of the videos that are looked at.
    """
    sizes, owners = [models[index].bytes for index in kept], [models[index].model for index in kept]
    local = fitting_combinations(sizes, limit, owners, EXHAUSTIVE)
    if local is None:
        local = _Search(ReducedScores.of(data, kept, seed), sizes, owners, limit, seed).run()
    return [tuple(kept[index] for index in members) for members in local]


class _Search:
    """The search for promising combinations; see the head of this file.

    Args:
        reduced: Scores of the entries.
        sizes: Bytes of each.
        owners: The model that each is a form of, ascending.
        limit: Bytes of all members together.
        seed: Seed of the sample by which weights are chosen.
    """

    def __init__(
        self, reduced: ReducedScores, sizes: Sequence[int], owners: Sequence[int], limit: int, seed: int
    ) -> None:
        self._reduced = reduced
        self._sizes = sizes
        self._owners = owners
        self._limit = limit
        self._videos = min(reduced.videos, _VIDEOS)
        self._forms: dict[int, list[int]] = {}
        for entry in sorted(range(len(sizes)), key=lambda entry: sizes[entry]):
            self._forms.setdefault(owners[entry], []).append(entry)
        self._merit = MeritWeights(reduced, self._sample(np.random.default_rng(seed)), self._videos)
        self._gaps: dict[Combination, float] = {}

    def run(self) -> list[Combination]:
        """Returns the most promising combinations, best first."""
        # The arrays' arithmetic lets go of the interpreter's lock.
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for rank in range(max(map(len, self._forms.values()))):
                self._grow([forms[min(rank, len(forms) - 1)] for forms in self._forms.values()], pool)
            stepped: set[Combination] = set()
            while waiting := [members for members in self._best(_STEPPED) if members not in stepped]:
                # A few at a time: what is found moves the others away from the top.
                chosen = waiting[: max(1, _STEPPED // 8)]
                stepped.update(chosen)
                self._measure((near for members in chosen for near in self._neighbours(members)), pool)
        _logger.info("looked at %d combinations of %d forms", len(self._gaps), len(self._sizes))
        return self._best(_RETURNED)

    def _sample(self, generator: np.random.Generator) -> list[Combination]:
        """Sets of models in random forms, as large as the limit allows."""
        samples = []
        for _ in range(_SAMPLE):
            members: list[int] = []
            for model in generator.permutation(list(self._forms)):
                entry = int(generator.choice(self._forms[int(model)]))
                if self._fits([*members, entry]):
                    members.append(entry)
            samples.append(tuple(sorted(members)))
        return [members for members in samples if members]

    def _fits(self, members: Iterable[int]) -> bool:
        return sum(self._sizes[entry] for entry in members) <= self._limit

    def _grow(self, entries: Sequence[int], pool: ThreadPoolExecutor) -> None:
        """Sets of these entries, one member more at a time, of the best of one member less."""
        beam: list[Combination] = [()]
        while beam:
            grown = {
                tuple(sorted((*members, entry)))
                for members in beam
                for entry in entries
                if entry not in members
            }
            grown = {members for members in grown if self._fits(members)}
            self._measure(grown, pool)
            beam = sorted(grown, key=self._rank)[:_BEAM]

    def _neighbours(self, members: Combination) -> list[Combination]:
        """Sets that fit and differ by one member: in another form, added, or gone."""
        present = {self._owners[entry]: entry for entry in members}
        near = []
        for model, forms in self._forms.items():
            others = [entry for entry in members if entry != present.get(model)]
            near += [tuple(sorted((*others, entry))) for entry in forms if entry not in members]
            if model in present and others:
                near.append(tuple(others))
        return [one for one in near if self._fits(one)]

    def _measure(self, combinations: Iterable[Combination], pool: ThreadPoolExecutor) -> None:
        new = sorted({members for members in combinations if members not in self._gaps})
        gaps = pool.map(
            lambda members: self._reduced.gap(members, self._merit.weights(members), self._videos), new
        )
        self._gaps.update(zip(new, gaps, strict=True))

    def _best(self, count: int) -> list[Combination]:
        return sorted(self._gaps, key=self._rank)[:count]

    def _rank(self, members: Combination) -> tuple[float, Combination]:
        return -self._gaps[members], members
