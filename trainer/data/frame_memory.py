"""Memory of batches' frames, used again and again.

A batch of 80 videos is 20 MB. Memory of this size comes fresh from the system, which clears it page by page, and goes
back to it: a tenth of the time that a batch takes.
"""

import weakref

import numpy as np

from trainer.data.yt8m import AUDIO_SIZE, FRAME_SIZE, RGB_SIZE

FRAME = np.dtype([("rgb", f"V{RGB_SIZE}"), ("audio", f"V{AUDIO_SIZE}")])
ALIGNMENT = 64
"""The frames of a batch begin at a multiple of so many bytes, as TensorFlow's tensors do."""


class FrameMemory:
    """Arrays of frames, whose memory is another's as soon as nobody holds them.

    Args:
        most_frames: Of an array.
    """

    def __init__(self, most_frames: int) -> None:
        self._bytes = most_frames * FRAME_SIZE + ALIGNMENT
        self._unused: list[np.ndarray] = []

    def array(self, videos: int, width: int) -> np.ndarray:
        """FRAME [videos, width] of any content, where TensorFlow can take it over."""
        memory = self._unused.pop() if self._unused else np.empty(self._bytes, np.uint8)
        # What is returned, and every view of it, holds this and not `memory`.
        held = np.frombuffer(memory.data, np.uint8)
        weakref.finalize(held, self._unused.append, memory).atexit = False
        begin = -memory.ctypes.data % ALIGNMENT
        return held[begin : begin + videos * width * FRAME_SIZE].view(FRAME).reshape(videos, width)


def as_bytes(frames: np.ndarray) -> np.ndarray:
    """FRAME [B, T] as uint8 [B, T, D]."""
    return frames.view(np.uint8).reshape(*frames.shape, FRAME_SIZE)
