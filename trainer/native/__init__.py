"""This project's own TensorFlow operations for CPUs, which pass over memory once where TensorFlow's do several times.

Everything that they compute can be computed by TensorFlow's operations as well, which run on GPUs and wherever the
library was not compiled. Exported models do not contain them.
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
    """Loads the operations: `apply_adam_of_product`, `frames_by_matrix`, `pooled_frames` and `frame_scales`.

    Their inputs and outputs are described where they are registered, in the C++ files here, and by `help`.

    Returns:
        A module with a function for each operation; None in a process that has a GPU, or where the library was not
        compiled.
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
