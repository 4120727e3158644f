"""Small models, examples and snapshots that the tests of several components share."""

from pathlib import Path

import numpy as np

from tests.records import write_shards
from trainer.variant import Variant
from trainer.weights import Arrays, initial_weights

CLASSES, MIXTURES = 12, 2


def eval_shards(directory: Path, videos: int = 30) -> list[str]:
    """One file of videos of CLASSES classes."""
    return write_shards(directory, shards=1, videos=videos, num_classes=CLASSES)


def weights_of(variant: Variant | str, seed: int) -> Arrays:
    """Random weights whose answers differ from video to video."""
    variant = Variant.parse(str(variant))
    weights = initial_weights(variant, seed, CLASSES, MIXTURES)
    generator = np.random.default_rng(seed)
    for name, value in weights.items():
        if name.endswith("moving_variance"):
            value *= np.float32(0.01)
        elif name.startswith("experts/"):
            value += generator.normal(0, 0.5, value.shape).astype(np.float32)
    return weights
