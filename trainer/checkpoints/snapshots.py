"""Snapshots of a model in training: TensorFlow checkpoints of its weights alone.

A snapshot is a tensor bundle (`snapshot-00001200.index` and `.data-00000-of-00001`), which has a CRC-32C for each
tensor, can be read one tensor at a time, and lives on any file system that TensorFlow knows. It has no state of the
optimizer, so the averager reads a third of what a training checkpoint would hold.
"""

import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.base.files import is_local, sync_path
from trainer.checkpoints.checkpoint_reader import CheckpointReader
from trainer.checkpoints.removal import REMOVED
from trainer.checkpoints.tensor_bundle import SNAPSHOT_REMEDY
from trainer.model.weights import Arrays

_PLAN = "planned_steps.json"
_INDEX = re.compile(r"snapshot-(\d{8,})\.index")


@dataclass(frozen=True, order=True)
class Snapshot:
    """A snapshot.

    Attributes:
        step: Number of steps that were done when it was taken.
        prefix: Path of the checkpoint without `.index`.
    """

    step: int
    prefix: str


def write_tensors(prefix: str, tensors: Mapping[str, np.ndarray | tf.Tensor | tf.Variable]) -> None:
    """Writes tensors under their names as one TensorFlow checkpoint.

    The index, without which the checkpoint does not exist for a reader, appears last. When this returns, a checkpoint
    on a local disk survives a loss of power; what other file systems promise is their own affair.

    Args:
        prefix: Path of the checkpoint without `.index`.
        tensors: The tensors by name.
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
    """Writes a snapshot, and replaces an earlier one of the same step.

    Args:
        directory: Directory of the snapshots; made when it is missing.
        step: Number of steps that are done.
        weights: The tensors of the model by name.
    """
    tf.io.gfile.makedirs(directory)
    prefix = posixpath.join(directory, f"snapshot-{step:08d}")
    write_tensors(prefix, weights)
    return Snapshot(step, prefix)


def list_snapshots(directory: str) -> list[Snapshot]:
    """Returns the snapshots of a directory, ascending by step; none when there is no such directory.

    There is none either where they were removed, or are half removed.
    """
    if not tf.io.gfile.isdir(directory) or tf.io.gfile.exists(posixpath.join(directory, REMOVED)):
        return []
    matches = (_INDEX.fullmatch(name) for name in tf.io.gfile.listdir(directory))
    return sorted(
        Snapshot(int(match[1]), posixpath.join(directory, match[0].removesuffix(".index")))
        for match in matches
        if match
    )


def write_planned_steps(directory: str, steps: Sequence[int]) -> None:
    """Notes beside snapshots, of which some are left out, the steps of all of them, ascending."""
    tf.io.gfile.makedirs(directory)
    with tf.io.gfile.GFile(posixpath.join(directory, _PLAN), "w") as file:
        file.write(json.dumps(list(steps)))


def read_planned_steps(directory: str) -> list[int]:
    """Returns the steps of the snapshots of a directory, ascending, with those that were left out on purpose."""
    path = posixpath.join(directory, _PLAN)
    if not tf.io.gfile.exists(path):
        return [snapshot.step for snapshot in list_snapshots(directory)]
    with tf.io.gfile.GFile(path) as file:
        return json.loads(file.read())


def open_snapshot(prefix: str) -> CheckpointReader:
    """Opens a snapshot to read one tensor at a time.

    Raises:
        DamagedCheckpointError: A file of the snapshot is missing or damaged.
    """
    return CheckpointReader(prefix, SNAPSHOT_REMEDY)


def read_snapshot(prefix: str) -> Arrays:
    """Reads all tensors of a snapshot.

    Raises:
        DamagedCheckpointError: A file of the snapshot is missing, or a checksum is wrong.
    """
    return open_snapshot(prefix).read_all()
