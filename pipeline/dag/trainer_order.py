"""In which order the Trainers of a pipeline start where only some may run at the same time.

The order is that of the expected gain per hour, largest first. The hours of a Trainer go with its work: weights times
examples, since a step touches every weight once an example. The gain of one more model is taken to be the same for all:
in the paper's Table 1 the largest of 18 models has 4.5 times the bytes of the smallest and 0.015 more GAP (0.8744 and
0.8594). So the least work comes first, and after any number of hours the most models are there.
"""

import heapq
from collections.abc import Mapping

from pipeline.recipe.recipe import Recipe
from trainer.model.architectures import Architecture

TRAINER, FIRST_HALF = "Trainer-", "FirstHalf-"
"""What ids of nodes that train begin with; a variant's name follows."""


def trainer_nodes(recipe: Recipe) -> dict[str, Architecture]:
    """The nodes that train, each with its variant: the whole training, or its two halves."""
    prefixes = (FIRST_HALF, TRAINER) if recipe.halving.enabled else (TRAINER,)
    return {f"{prefix}{variant}": variant for prefix in prefixes for variant in recipe.variants}


def training_work(recipe: Recipe) -> dict[str, float]:
    """Bytes of float32 weights times examples of each variant's training: what its hours are proportional to."""
    work = {}
    for variant in recipe.variants:
        training = recipe.training_of(variant)
        work[str(variant)] = (
            float(recipe.spec_of(variant).float32_bytes) * training.steps * training.batch_size
        )
    return work


def waits_for(work: Mapping[str, float], at_once: int | None) -> dict[str, str | None]:
    """Chains of Trainers, of which as many run at the same time as there are chains.

    Each Trainer in its turn is put at the end of the chain that will be done first.

    >>> waits_for({"large": 8, "small": 1, "medium": 3}, at_once=2)
    {'small': None, 'medium': None, 'large': 'small'}

    Args:
        work: Of each Trainer, in any unit.
        at_once: The most that run at the same time; None for all.

    Returns:
        By Trainer, in the order in which they start, the one that it waits for; None for none.
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
