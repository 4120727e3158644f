"""Weights outside a graph: a dictionary from tensor names to arrays."""

from collections.abc import Mapping

import numpy as np

from trainer.model.model_spec import ModelSpec
from trainer.model.reverse_whitening import row_factors

Arrays = dict[str, np.ndarray]
"""The tensors of a model, keyed by `TensorSpec.name`."""


def initial_weights(spec: ModelSpec, seed: int, reverse_whitening: float = 0.0) -> Arrays:
    """Makes random float32 weights to start a training from.

    Each tensor has a generator of its own, spawned from the seed: its values do not depend on the sizes of the tensors
    before it.

    Args:
        spec: The model to make weights for.
        seed: Seed of the random numbers, 0 or more.
        reverse_whitening: Strength of `trainer.model.reverse_whitening`; 0 for none.
    """
    generators = np.random.default_rng(seed).spawn(len(spec.tensors))
    weights = {}
    for tensor, generator in zip(spec.tensors, generators, strict=True):
        if tensor.stddev is None:
            weights[tensor.name] = np.full(tensor.shape, tensor.constant, np.float32)
        else:
            values = generator.standard_normal(tensor.shape, np.float32)
            values *= tensor.stddev
            factors = row_factors(tensor, reverse_whitening)
            if factors is not None:
                values *= factors[:, np.newaxis]
            if tensor.constant:
                values += tensor.constant
            weights[tensor.name] = values
    return weights


def shrunk(
    spec: ModelSpec,
    weights: Mapping[str, np.ndarray],
    share: float,
    seed: int,
    reverse_whitening: float = 0.0,
) -> Arrays:
    """Blends weights with random ones, so that a training which starts from them forgets what they know by heart.

    A model that was trained on a part of a data set ends worse on the whole of it than one that was not, unless its
    weights are shrunk and perturbed: Ash & Adams 2020, "On Warm-Starting Neural Network Training",
    https://arxiv.org/abs/1910.08475.

    Args:
        spec: The model that the weights belong to.
        weights: All its tensors. Moving statistics stay as they are.
        share: Share of the weights in the blend, above 0; at 1 nothing is changed.
        seed: Seed of the random weights, which have the rest.
        reverse_whitening: Its strength in the random weights, as in `initial_weights`.
    """
    if share == 1:
        return dict(weights)
    random = initial_weights(spec, seed, reverse_whitening)
    for tensor in spec.tensors:
        own = weights[tensor.name]
        random[tensor.name] = share * own + (1 - share) * random[tensor.name] if tensor.trainable else own
    return random


def check_weights(spec: ModelSpec, weights: Mapping[str, np.ndarray]) -> None:
    """Checks that weights are those of a model.

    Raises:
        ValueError: A tensor is missing, surplus or of another shape; the message names it.
    """
    expected = {tensor.name: tensor for tensor in spec.tensors}
    for name in expected.keys() ^ weights.keys():
        problem = "is missing" if name in expected else "is not a tensor of this network"
        raise ValueError(f"{spec}: tensor {name} {problem}")
    for name, tensor in expected.items():
        if tuple(weights[name].shape) != tensor.shape:
            raise ValueError(
                f"{spec}: tensor {name} must have shape {tensor.shape}. Received: {tuple(weights[name].shape)}"
            )
