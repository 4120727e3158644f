"""Weights outside a graph: a dictionary from tensor names to arrays.

Legend: V classes, M mixtures.
"""

from collections.abc import Mapping

import numpy as np

from trainer.variant import Variant
from trainer.yt8m import NUM_CLASSES, NUM_MIXTURES

Arrays = dict[str, np.ndarray]
"""The 32 tensors of a model, keyed by `TensorSpec.name`."""


def initial_weights(
    variant: Variant, seed: int, num_classes: int = NUM_CLASSES, num_mixtures: int = NUM_MIXTURES
) -> Arrays:
    """Fresh float32 weights, a function of the seed and of each tensor's own place in the network alone.

    A generator a tensor (spawned from the seed) rather than one for all: a tensor's values then do not depend on
    the sizes of those before it.
    """
    specs = variant.tensor_specs(num_classes, num_mixtures)
    generators = np.random.default_rng(seed).spawn(len(specs))
    weights = {}
    for spec, generator in zip(specs, generators, strict=True):
        if spec.stddev is None:
            weights[spec.name] = np.full(spec.shape, spec.constant, np.float32)
        else:
            values = generator.standard_normal(spec.shape, np.float32)
            values *= spec.stddev
            weights[spec.name] = values
    return weights


def check_weights(
    variant: Variant,
    weights: Mapping[str, np.ndarray],
    num_classes: int = NUM_CLASSES,
    num_mixtures: int = NUM_MIXTURES,
) -> None:
    """ValueError when a tensor of the variant is missing, surplus or of another shape (it is named)."""
    specs = {spec.name: spec for spec in variant.tensor_specs(num_classes, num_mixtures)}
    for name in specs.keys() ^ weights.keys():
        problem = "is missing" if name in specs else "is not a tensor of this network"
        raise ValueError(f"{variant}: tensor {name} {problem}")
    for name, spec in specs.items():
        if tuple(weights[name].shape) != spec.shape:
            raise ValueError(
                f"{variant}: tensor {name} must have shape {spec.shape}. Received: {tuple(weights[name].shape)}"
            )
