"""The resumable state of a training run: weights, Adam slots, step and place in the data, in one checkpoint.

The last two states are kept. An older state is removed only when the new one is on the disk, safe from a loss of
power. The checksums of a state are verified when it is read; where the newest state is damaged, the one before it is
used. So a run that is killed at any moment finds a whole state.
"""

import logging
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.base.errors import UserError
from trainer.checkpoints.checkpoint_reader import CheckpointReader
from trainer.checkpoints.snapshots import write_tensors
from trainer.checkpoints.tensor_bundle import DamagedCheckpointError
from trainer.data.input_pipeline import Position

_FILE = re.compile(r"state-(\d{8,})\.(index|data-\d{5}-of-\d{5})")
_REMEDY = "it is passed over"

_logger = logging.getLogger("yt8m.train")


@dataclass(frozen=True)
class State:
    """Everything that a run needs to go on as if it had never stopped.

    Attributes:
        step: Number of steps done.
        positions: Place of the next record in the training stream of each input process.
        weights: The model's tensors by name.
        slots: Adam's slots by name.
    """

    step: int
    positions: tuple[Position, ...]
    weights: Mapping[str, np.ndarray | tf.Variable]
    slots: Mapping[str, np.ndarray | tf.Variable]


def write_state(directory: str, state: State, fingerprint: str) -> None:
    """Writes a state, and then removes all older ones but the last.

    Args:
        directory: Directory for the states of this run and of no other.
        state: What training goes on from.
        fingerprint: Digest of everything that must be equal for a run to go on from this state.
    """
    tf.io.gfile.makedirs(directory)
    others = [(step, prefix) for step, prefix in _prefixes(directory) if step != state.step]
    prefix = posixpath.join(directory, f"state-{state.step:08d}")
    position = np.array([[one.epoch, one.group, one.offset] for one in state.positions], np.int64)
    tensors = {f"weights/{name}": value for name, value in state.weights.items()}
    tensors |= {f"slots/{name}": value for name, value in state.slots.items()}
    write_tensors(prefix, tensors | {"position": position, "fingerprint": np.array(fingerprint, object)})
    # A state of a later step was damaged, or this run would have gone on from there.
    before = max((step for step, _ in others if step < state.step), default=None)
    for step, other in others:
        if step != before:
            for name in tf.io.gfile.glob(f"{other}.*"):
                tf.io.gfile.remove(name)


def read_state(directory: str, fingerprint: str) -> State | None:
    """Reads the newest state that is whole. Damaged ones are named in the log and passed over.

    Args:
        directory: Directory of the run's states.
        fingerprint: Digest that the state must have been written with.

    Returns:
        The state; None where there is no whole one.

    Raises:
        UserError: The state belongs to a run with other settings or data.
    """
    prefixes = _prefixes(directory)
    for step, prefix in reversed(prefixes):
        try:
            tensors = CheckpointReader(prefix, _REMEDY).read_all()
        except DamagedCheckpointError as error:
            _logger.warning("training state of step %d: %s", step, error)
            continue
        return _state(prefix, step, tensors, fingerprint)
    if prefixes:
        _logger.warning("no training state in %s is whole: training starts anew, from step 0", directory)
    return None


def _state(prefix: str, step: int, tensors: Mapping[str, np.ndarray | bytes], fingerprint: str) -> State:
    found = tensors.get("fingerprint")
    if not isinstance(found, bytes) or found.decode(errors="replace") != fingerprint:
        raise UserError(
            f"{prefix} is the training state of a run with other settings or data: remove it to start afresh, or "
            "give this run its own directory"
        )

    def group(scope: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(scope): value for name, value in tensors.items() if name.startswith(scope)}

    positions = tuple(  # of one process it was one row once
        Position(epoch=epoch, group=data_group, offset=offset)
        for epoch, data_group, offset in tensors["position"].reshape(-1, 3).tolist()
    )
    return State(step, positions, group("weights/"), group("slots/"))


def _prefixes(directory: str) -> list[tuple[int, str]]:
    """Returns step and prefix of each state, ascending, also of one that has lost one of its files."""
    if not tf.io.gfile.isdir(directory):
        return []
    matches = (_FILE.fullmatch(name) for name in tf.io.gfile.listdir(directory))
    steps = {match[1] for match in matches if match}
    return sorted((int(step), posixpath.join(directory, f"state-{step}")) for step in steps)
