"""Decides in which order the Trainers of a pipeline start if only some may run at the same time.

The order is that of the expected gain per hour, largest first. The hours of a Trainer are taken to be proportional to
its work, weights times examples, since a step touches every weight once per example. The gain of one more model is
taken to be the same for all: in the paper's Table 1 the largest of 18 models has 4.5 times the bytes of the smallest
and 0.015 more GAP (0.8744 and 0.8594). So the Trainer with the least work comes first, and after any number of hours
as many models as possible are there.
"""

import heapq
from collections.abc import Mapping

from pipeline.recipe.recipe import Recipe

TRAINER, FIRST_HALF, FOLD = "Trainer-", "FirstHalf-", "Fold"
"""The prefixes of the ids of nodes that train; the name of the variant follows. A node of a fold has its number in
front of that, as `FoldTrainer-0-K8-H256`, and FOLD in front of all."""

TEACHER, TEACHING_ASSEMBLER = "Teacher", "TeachingAssembler"
"""The ids of the node that scores the train split, and of the one that assembles the ensemble which does so. With folds
there are several of the latter, with a hyphen and the number of the fold behind."""


def fold_label(name: str, fold: int) -> str:
    """Returns what the training of a model without one part of the train files is called: `0-K8-H256`."""
    return f"{fold}-{name}"


def fold_labels(recipe: Recipe) -> dict[str, str]:
    """Returns the trainings without a part of the train files, each with its name in `Recipe.trained`."""
    if recipe.teacher.folds == 1:
        return {}
    return {
        fold_label(name, fold): name
        for fold in range(recipe.teacher.folds)
        for name in recipe.variants_by_name
    }


def trainer_nodes(recipe: Recipe) -> dict[str, str]:
    """Returns the nodes that train, each with the name in `Recipe.trained`: one for a whole training or each half."""
    halves = (FIRST_HALF,) if recipe.halving.enabled else ()
    return {
        **{f"{prefix}{name}": name for prefix in halves for name in recipe.variants_by_name},
        **{f"{TRAINER}{name}": name for name in recipe.trained},
        **{f"{FOLD}{TRAINER}{label}": name for label, name in fold_labels(recipe).items()},
    }


def training_work(recipe: Recipe, trainings: Mapping[str, str] | None = None) -> dict[str, float]:
    """Returns the work of trainings: bytes of float32 weights times examples.

    Args:
        recipe: The recipe.
        trainings: The name in `Recipe.trained` of each training, by what it is called; None for the variants.
    """
    work = {}
    if trainings is None:
        trainings = {name: name for name in recipe.variants_by_name}
    for called, name in trainings.items():
        training, spec = recipe.training_of(name), recipe.spec_of(recipe.trained[name])
        work[called] = float(spec.float32_bytes) * training.videos(training.steps)
    return work


def waits_for(work: Mapping[str, float], at_once: int | None) -> dict[str, str | None]:
    """Puts Trainers into chains, so that as many run at the same time as there are chains.

    The Trainers are taken in the order of their work, and each is put at the end of the chain that will be done first.

    >>> waits_for({"large": 8, "small": 1, "medium": 3}, at_once=2)
    {'small': None, 'medium': None, 'large': 'small'}

    Args:
        work: The work of each Trainer, in any unit.
        at_once: The most Trainers that run at the same time; None for all.

    Returns:
        The Trainer that each one waits for, or None, in the order in which they start.
    """
    order = sorted(work, key=lambda name: (work[name], name))
    if at_once is None:
        return dict.fromkeys(order)
    chains: list[tuple[float, int, str | None]] = [(0.0, number, None) for number in range(at_once)]
    waits = {}
    for name in order:
        done, number, last = heapq.heappop(chains)
        waits[name] = last
        heapq.heappush(chains, (done + work[name], number, name))
    return waits
