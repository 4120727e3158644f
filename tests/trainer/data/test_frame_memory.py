"""Memory of frames: aligned, never of two arrays at once, and used again."""

from unittest import mock

import numpy as np
import pytest

from trainer.data.frame_memory import ALIGNMENT, FRAME, FrameMemory, as_bytes
from trainer.data.tensors import as_tensor


@pytest.mark.parametrize(("videos", "width"), [(1, 1), (2, 3), (5, 7)])
def test_an_array_has_its_shape_and_begins_where_tensorflow_can_take_it_over(videos, width):
    array = FrameMemory(35).array(videos, width)
    assert array.shape == (videos, width)
    assert array.dtype == FRAME
    assert array.ctypes.data % ALIGNMENT == 0
    assert array.flags.c_contiguous
    assert array.flags.writeable


def test_memory_is_used_again_only_when_no_view_is_left():
    memory = FrameMemory(6)
    array = memory.array(2, 3)
    place = array.ctypes.data
    view = as_bytes(array)[1, 1:]
    del array
    view[:] = 7
    other = memory.array(2, 3)
    as_bytes(other)[:] = 0
    assert (view == 7).all()
    del view
    # Nothing new may be asked for: new memory can have the address of old one that was freed.
    with mock.patch.object(np, "empty", side_effect=AssertionError):
        assert memory.array(1, 1).ctypes.data == place


def test_a_tensor_that_shares_the_memory_holds_it():
    memory = FrameMemory(6)
    frames = as_bytes(memory.array(2, 3))
    frames[:] = 7
    place = frames.ctypes.data
    tensor = as_tensor(frames)
    del frames
    other = as_bytes(memory.array(2, 3))
    assert other.ctypes.data != place
    other[:] = 0
    assert np.all(tensor.numpy() == 7)
