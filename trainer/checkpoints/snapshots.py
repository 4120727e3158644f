"""Weight-only snapshots of a model in training: TensorFlow checkpoints of exactly its 32 tensors.

A snapshot is a tensor bundle (`snapshot-00001200.index` and `.data-00000-of-00001`), which carries a CRC32C a
tensor, can be read one tensor at a time, and lives on any file system that TensorFlow knows. Nothing of the
optimizer is in it: the averager reads a third of what a training checkpoint holds.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.base.files import is_local, sync_path
from trainer.checkpoints.checkpoint_reader import CheckpointReader
from trainer.checkpoints.tensor_bundle import SNAPSHOT_REMEDY
from trainer.model.weights import Arrays

_INDEX = re.compile(r"snapshot-(\d{8,})\.index")


@dataclass(frozen=True, order=True)
class Snapshot:
    """One snapshot: the training step after which it was taken, and its checkpoint prefix."""

    step: int
    prefix: str


def write_tensors(prefix: str, tensors: Mapping[str, np.ndarray | tf.Tensor | tf.Variable]) -> None:
    """Writes tensors under their names as one TensorFlow checkpoint.

    The index, without which the checkpoint does not exist for a reader, is put in place last. When this returns, a
    checkpoint on a local disk survives a loss of power; elsewhere that is the file system's promise.
    """
    names, values = zip(*sorted(tensors.items()), strict=True)
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=names,
        shape_and_slices=len(names) * [""],
        tensors=[tf.convert_to_tensor(value) for value in values],
    )
    if is_local(prefix):
        for path in (f"{prefix}.data-00000-of-00001", f"{prefix}.index", posixpath.dirname(prefix) or "."):
            sync_path(path)


def write_snapshot(
    directory: str, step: int, weights: Mapping[str, np.ndarray | tf.Tensor | tf.Variable]
) -> Snapshot:
    """Writes the weights after training step `step`; an earlier snapshot of that step is replaced."""
    tf.io.gfile.makedirs(directory)
    prefix = posixpath.join(directory, f"snapshot-{step:08d}")
    write_tensors(prefix, weights)
    return Snapshot(step, prefix)


def list_snapshots(directory: str) -> list[Snapshot]:
    """All whole snapshots of a directory, ascending by step; empty when there is no such directory."""
    if not tf.io.gfile.isdir(directory):
        return []
    matches = (_INDEX.fullmatch(name) for name in tf.io.gfile.listdir(directory))
    return sorted(
        Snapshot(int(match[1]), posixpath.join(directory, match[0].removesuffix(".index")))
        for match in matches
        if match
    )


def open_snapshot(prefix: str) -> CheckpointReader:
    """A reader that loads one tensor at a time.

    Raises:
        DamagedCheckpointError: If a file of the snapshot is missing or damaged.
    """
    return CheckpointReader(prefix, SNAPSHOT_REMEDY)


def read_snapshot(prefix: str) -> Arrays:
    """All tensors of a snapshot, their checksums verified; DamagedCheckpointError where one is wrong."""
    return open_snapshot(prefix).read_all()
