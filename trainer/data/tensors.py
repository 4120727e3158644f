"""Arrays as tensors."""

import math

import numpy as np
import tensorflow as tf

from trainer.data.frame_memory import ALIGNMENT


def aligned_zeros(*shape: int) -> np.ndarray:
    """uint8 zeros that `as_tensor` need not copy."""
    size = math.prod(shape)
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    return memory[-memory.ctypes.data % ALIGNMENT :][:size].reshape(shape)


def as_tensor(array: np.ndarray) -> tf.Tensor:
    """A tensor that shares the array's memory where it can; else a copy.

    TensorFlow's own conversion always copies: for the frames of a batch 1 % of a training step, more where the copy's
    memory comes fresh from the system. DLPack, which shares, ends the process where an array is not aligned; NumPy
    gives it neither truth values nor what is not to be written to.

    Reference: DLPack, https://dmlc.github.io/dlpack/latest/python_spec.html.
    """
    aligned = array.ctypes.data % ALIGNMENT == 0 and array.flags.c_contiguous
    if not aligned or not array.flags.writeable or array.dtype == np.bool_ or not array.size:
        return tf.convert_to_tensor(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
