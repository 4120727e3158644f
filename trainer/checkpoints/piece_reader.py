"""Reads a tensor of a checkpoint piece by piece."""

import os

import google_crc32c
import numpy as np

from trainer.checkpoints.tensor_bundle import SNAPSHOT_REMEDY, DamagedCheckpointError, StoredTensor, damaged
from trainer.data.crc32c import mask_crc


class PieceReader:
    """Reads a float32 tensor from its first element to its last, into memory that the caller provides.

    >>> with PieceReader(stored_tensors(prefix)["experts/weights"]) as reader:
    ...     reader.read(piece)  # its first elements

    Args:
        tensor: Place of the tensor in its checkpoint.
    """

    def __init__(self, tensor: StoredTensor) -> None:
        self.tensor = tensor
        self._place = tensor.offset
        self._crc = 0

    def __enter__(self) -> "PieceReader":
        try:
            self._file = os.open(self.tensor.path, os.O_RDONLY)
        except OSError as error:
            raise self._damaged(str(error.strerror)) from error
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def read(self, piece: np.ndarray) -> None:
        """Reads the next n elements into `piece`, float32 [n].

        Raises:
            DamagedCheckpointError: The file ends early, or this was the last piece and the checksum of all is wrong.
        """
        view = memoryview(piece).cast("B")
        while view:
            count = os.preadv(self._file, [view], self._place)
            if not count:
                raise self._damaged("it ends early")
            view, self._place = view[count:], self._place + count
        self._crc = google_crc32c.extend(self._crc, piece)
        whole = self._place == self.tensor.offset + 4 * self.tensor.size
        if whole and mask_crc(self._crc) != self.tensor.masked_crc:
            raise self._damaged(f"wrong checksum of the tensor at byte {self.tensor.offset}")

    def _damaged(self, reason: str) -> DamagedCheckpointError:
        return damaged(self.tensor.path, reason, SNAPSHOT_REMEDY)
