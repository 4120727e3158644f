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
    """The operations by their names, or None in a process that cannot run them.

    `apply_adam_of_product`, `frames_by_matrix`, `pooled_frames` and `frame_scales`: what they take and give is said
    where they are registered, in the C++ files here, and by `help`.
    """
    if tf.config.list_physical_devices("GPU"):
        return None
    try:
        return tf.load_op_library(_LIBRARY)
    except tf.errors.NotFoundError as error:
        _logger.warning(
            "training and evaluation take longer: `make setup` compiles what is missing (%s)", error
        )
        return None
