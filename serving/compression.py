"""Compressors: a stored form of some tensors of a model, and how it is decoded when the model is loaded.

Float16 storage of the four big tensors is the first one (paper, 2.2). The stored form is the array that
`serving.saved_model.Member` is given, and the decoding the cast to float32 of `DecodedTensor`.
"""

from collections.abc import Mapping

import numpy as np

from trainer.errors import UserError
from trainer.variant import Variant
from trainer.weights import Arrays
from trainer.yt8m import NUM_CLASSES, NUM_MIXTURES

FLOAT16_MAX = float(np.finfo(np.float16).max)
"""65504; larger values have no float16."""


def to_float16(
    variant: Variant,
    weights: Mapping[str, np.ndarray],
    num_classes: int = NUM_CLASSES,
    num_mixtures: int = NUM_MIXTURES,
) -> Arrays:
    """The weights with exactly the compressible tensors in float16 and all others in float32.

    Values below float16's smallest, about 6e-8, become 0: they are far below what moves a prediction.

    Args:
        variant: Of the weights.
        weights: The 32 tensors, float32.
        num_classes: V.
        num_mixtures: M.

    Raises:
        UserError: If a value to be compressed is not finite or beyond float16's range; the first is named.
    """
    compressed = {}
    for spec in variant.tensor_specs(num_classes, num_mixtures):
        value = np.asarray(weights[spec.name], np.float32)
        if spec.compressible:
            _check_range(variant, spec.name, value)
            value = value.astype(np.float16)
        compressed[spec.name] = value
    return compressed


def _check_range(variant: Variant, name: str, value: np.ndarray) -> None:
    # Minimum and maximum pass NaN on, and need no copy of the tensor.
    if np.abs([value.min(), value.max()]).max() <= FLOAT16_MAX:
        return
    bad = ~(np.abs(value) <= FLOAT16_MAX)
    index = np.unravel_index(int(bad.argmax()), value.shape)
    problem = "is beyond float16's 65504" if np.isfinite(value[index]) else "is not finite"
    raise UserError(
        f"{variant}: {name}[{', '.join(map(str, index))}] = {value[index]:g} {problem} ({int(bad.sum())} "
        "such values): train it with a lower learning rate, or leave the variant out of the recipe"
    )
