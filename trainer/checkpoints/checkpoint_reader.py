"""Reads TensorFlow checkpoints in such a way that damage is always found, and always said in the same way."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from trainer.checkpoints.tensor_bundle import damaged, read_index


class CheckpointReader:
    """A checkpoint whose index is whole and whose data files are long enough; reads one tensor at a time.

    Each tensor is held against its checksum when it is read, by TensorFlow.

    Args:
        prefix: Path without `.index` or `.data-...`, on any file system that TensorFlow knows.
        remedy: What an error's message tells the user to do, such as "copy it anew".

    Raises:
        DamagedCheckpointError: If the index or a data file is missing or damaged.
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
        """A tensor; bytes for a scalar of type string.

        Raises:
            KeyError: If there is no tensor of that name.
            DamagedCheckpointError: If its checksum is wrong.
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
        """All tensors by name."""
        return {name: self.read(name) for name in self.shapes}
