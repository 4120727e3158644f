"""The one resumable state of a training run: weights, Adam slots, step and place in the data, in one checkpoint.

A state is written under its step's number and only then are older ones removed, so that a run that is killed at any
moment finds a whole one.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.errors import UserError
from trainer.input_pipeline import Position
from trainer.snapshots import write_tensors

_INDEX = re.compile(r"state-(\d{8,})\.index")


@dataclass(frozen=True)
class State:
    """What a run needs to go on as if it had never stopped.

    Attributes:
        step: Steps done.
        position: The next record of the training stream.
        weights: The 32 tensors.
        slots: Adam's.
    """

    step: int
    position: Position
    weights: Mapping[str, np.ndarray | tf.Variable]
    slots: Mapping[str, np.ndarray | tf.Variable]


def write_state(directory: str, state: State, fingerprint: str) -> None:
    """Writes the state and removes the older ones.

    Args:
        directory: Of this run's states alone.
        state: See `State`.
        fingerprint: Of everything that must be equal for a run to go on from here.
    """
    tf.io.gfile.makedirs(directory)
    old = _prefixes(directory)
    prefix = posixpath.join(directory, f"state-{state.step:08d}")
    position = np.array([state.position.epoch, state.position.group, state.position.offset], np.int64)
    tensors = {f"weights/{name}": value for name, value in state.weights.items()}
    tensors |= {f"slots/{name}": value for name, value in state.slots.items()}
    write_tensors(prefix, tensors | {"position": position, "fingerprint": np.array(fingerprint, object)})
    for step, older in old:
        if step != state.step:
            for name in tf.io.gfile.glob(f"{older}.*"):
                tf.io.gfile.remove(name)


def read_state(directory: str, fingerprint: str) -> State | None:
    """The newest whole state, or None where there is none.

    Raises:
        UserError: When it belongs to a run of other settings or data.
    """
    prefixes = _prefixes(directory)
    if not prefixes:
        return None
    step, prefix = prefixes[-1]
    reader = tf.train.load_checkpoint(prefix)
    if reader.get_tensor("fingerprint").decode() != fingerprint:
        raise UserError(
            f"{prefix} is the training state of a run with other settings or data: remove it to start afresh, or "
            "give this run its own directory"
        )
    names = reader.get_variable_to_shape_map()

    def group(scope: str) -> dict[str, np.ndarray]:
        return {name.removeprefix(scope): reader.get_tensor(name) for name in names if name.startswith(scope)}

    epoch, data_group, offset = (int(value) for value in reader.get_tensor("position"))
    position = Position(epoch=epoch, group=data_group, offset=offset)
    return State(step, position, group("weights/"), group("slots/"))


def _prefixes(directory: str) -> list[tuple[int, str]]:
    if not tf.io.gfile.isdir(directory):
        return []
    matches = (_INDEX.fullmatch(name) for name in tf.io.gfile.listdir(directory))
    return sorted(
        (int(match[1]), posixpath.join(directory, match[0].removesuffix(".index")))
        for match in matches
        if match
    )
