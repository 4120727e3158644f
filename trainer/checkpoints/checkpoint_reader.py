"""Reads TensorFlow checkpoints, and reports every kind of damage as the same error."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from trainer.checkpoints.tensor_bundle import damaged, read_index


class CheckpointReader:
    """Reads one tensor of a checkpoint at a time.

    The index and the lengths of the data files are checked when this is made. TensorFlow verifies the checksum of each
    tensor when it is read.

    Args:
        prefix: Path without `.index` or `.data-...`, on any file system that TensorFlow knows.
        remedy: What an error's message tells the user to do, such as "copy it anew".

    Raises:
        DamagedCheckpointError: The index or a data file is missing or damaged.
    """

    def __init__(self, prefix: str, remedy: str) -> None:
        self.prefix = prefix
        self._remedy = remedy
        self._index = read_index(prefix, remedy)
        self.shapes: Mapping[str, tuple[int, ...]] = {
            name: tuple(dimension.size for dimension in entry.shape.dim)
            for name, entry in self._index.entries.items()
        }
        """Shape of each tensor, by its name."""
        self.dtypes: Mapping[str, tf.DType] = {
            name: tf.as_dtype(entry.dtype) for name, entry in self._index.entries.items()
        }
        """Type of each tensor, by its name."""
        self._reader: tf.compat.v1.train.CheckpointReader | None = None

    def read(self, name: str) -> np.ndarray | bytes:
        """Reads a tensor: an array, or bytes for a scalar of type string.

        Raises:
            KeyError: There is no tensor of that name.
            DamagedCheckpointError: The tensor's checksum is wrong.
        """
        entry = self._index.entries[name]
        try:
            self._reader = self._reader or tf.train.load_checkpoint(self.prefix)
            return self._reader.get_tensor(name)
        # An IndexError is how it says that a file ends early.
        except (tf.errors.OpError, IndexError, ValueError, RuntimeError) as error:
            reason = f"tensor {name} is damaged ({getattr(error, 'message', error)})"
            raise damaged(self._index.data_file(entry.shard_id), reason, self._remedy) from error

    def read_all(self) -> dict[str, np.ndarray | bytes]:
        """Reads all tensors; returns them by name."""
        return {name: self.read(name) for name in self.shapes}
