"""Huge pages for the memory of a training, for entry points that own their process."""

import tensorflow as tf

from trainer.base.memory import use_huge_pages
from trainer.model.model_spec import ModelSpec

STEPS_TO_ALLOCATE = 2
"""After so many steps TensorFlow's allocator holds all the memory that a step needs, and keeps it."""

_LARGE_BYTES = 1 << 27
"""Bytes of weights from which on huge pages are worth the second that asking for them takes."""


def use_huge_pages_for(spec: ModelSpec) -> int:
    """Puts the memory of this process on huge pages where a training of `spec` gains by it: a large model on CPUs.

    Call it when the training's memory is allocated, after `STEPS_TO_ALLOCATE` steps.

    Args:
        spec: The model that is trained.

    Returns:
        Bytes that huge pages were asked for; 0 for a small model or a training on GPUs.
    """
    if spec.float32_bytes < _LARGE_BYTES or tf.config.list_logical_devices("GPU"):
        return 0
    return use_huge_pages()
