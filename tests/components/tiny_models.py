"""Small models, examples and snapshots that the tests of several components share."""

from pathlib import Path

import numpy as np

from tests.records import write_shards
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import Arrays, initial_weights

CLASSES = 12


def eval_shards(directory: Path, videos: int = 30) -> list[str]:
    """One file of videos of CLASSES classes."""
    return write_shards(directory, shards=1, videos=videos, num_classes=CLASSES)


def weights_of(name: str, seed: int) -> Arrays:
    """Random weights whose answers differ from video to video."""
    weights = initial_weights(ModelSpec.parse(name, CLASSES), seed)
    generator = np.random.default_rng(seed)
    for name, value in weights.items():
        if name.endswith("moving_variance"):
            value *= np.float32(0.01)
        elif name.startswith("experts/"):
            value += generator.normal(0, 0.5, value.shape).astype(np.float32)
    return weights
