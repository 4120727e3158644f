"""TensorFlow operations of this project's own, for CPUs: one pass over memory where TensorFlow's take several.

Each stands beside the operations of TensorFlow that compute the same, which run on GPUs, and wherever the library was
not compiled. Models that leave the process have none of them.
"""

import functools
import logging
import os
from types import ModuleType

import tensorflow as tf

_LIBRARY = os.path.join(os.path.dirname(__file__), "liboperations.so")

_logger = logging.getLogger("yt8m.train")


@functools.cache
def operations() -> ModuleType | None:
    """`apply_adam_of_product`, `centered_gram` and `dequantize_frames`, or None in a process that cannot run them all.

    What they take and give is said where they are registered, in the C++ files here, and by `help`.
    """
    if tf.config.list_physical_devices("GPU"):
        return None
    try:
        return tf.load_op_library(_LIBRARY)
    except tf.errors.NotFoundError as error:
        _logger.warning(
            "training is slower than it could be: `make setup` compiles what is missing (%s)", error
        )
        return None
