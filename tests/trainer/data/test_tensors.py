"""Arrays as tensors, without a copy where that can be."""

import numpy as np
import tensorflow as tf

from trainer.data.frame_memory import ALIGNMENT
from trainer.data.tensors import aligned_zeros, as_tensor


def test_aligned_arrays_become_tensors_without_a_copy():
    array = aligned_zeros(10, 100)
    tensor = as_tensor(array)
    array[3, 4] = 5
    assert tensor.shape == (10, 100)
    assert tensor[3, 4] == 5


def test_other_arrays_are_copied():
    memory = np.zeros(1000 + 2 * ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    aligned = memory[begin:][:1000]
    fixed = aligned.view()
    fixed.flags.writeable = False
    for array in (memory[begin + 1 :][:1000], aligned[::2], aligned.astype(bool), fixed, np.empty((0, 3))):
        tensor = as_tensor(array)
        assert tensor.dtype == tf.as_dtype(array.dtype)
        np.testing.assert_array_equal(tensor, array)
