"""Memory for the frames of batches, which is used again and again.

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
    """Makes arrays of frames, whose memory goes to a later array as soon as nobody holds them.

    Args:
        most_frames: Frames that an array has at most, those of all its videos together.
    """

    def __init__(self, most_frames: int) -> None:
        self._bytes = most_frames * FRAME_SIZE + ALIGNMENT
        self._unused: list[np.ndarray] = []

    def array(self, videos: int, width: int) -> np.ndarray:
        """Returns an array of any content, in memory that a tensor can share.

        Args:
            videos: Number of rows.
            width: Frames of a row.

        Returns:
            FRAME [videos, width].
        """
        memory = self._unused.pop() if self._unused else np.empty(self._bytes, np.uint8)
        # The returned array and all its views hold `held` and not `memory`: when it is collected, nobody uses them.
        held = np.frombuffer(memory.data, np.uint8)
        weakref.finalize(held, self._unused.append, memory).atexit = False
        begin = -memory.ctypes.data % ALIGNMENT
        return held[begin : begin + videos * width * FRAME_SIZE].view(FRAME).reshape(videos, width)


def as_bytes(frames: np.ndarray) -> np.ndarray:
    """Returns a view of FRAME [B, T] as uint8 [B, T, D]."""
    return frames.view(np.uint8).reshape(*frames.shape, FRAME_SIZE)
