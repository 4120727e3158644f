"""A program that does what training and averaging do with files, below the address that is its argument.

A program, since TensorFlow reads the environment that leads it to a test's bucket only once.
"""

import os
import sys
import tempfile

import numpy as np
import tensorflow as tf

from components.remote_tree import copy_remote_tree, local_tree
from trainer.checkpoints.averaging import average_snapshots
from trainer.checkpoints.range import Range
from trainer.checkpoints.snapshots import list_snapshots, read_snapshot, write_snapshot
from trainer.data.input_pipeline import Position
from trainer.training.state import State, read_state, write_state


def _snapshots(directory: str) -> None:
    assert list_snapshots(directory) == []
    weights = [{"b": np.full(3, n, np.float32), "w": np.eye(4, dtype=np.float32) * n} for n in (1, 2, 6)]
    for step, values in zip((10, 20, 30), weights, strict=True):
        write_snapshot(directory, step, values)
    snapshots = list_snapshots(directory)
    assert [snapshot.step for snapshot in snapshots] == [10, 20, 30]
    np.testing.assert_array_equal(read_snapshot(snapshots[1].prefix)["w"], weights[1]["w"])
    with tempfile.TemporaryDirectory() as scratch, local_tree(directory) as copy:
        average, last = average_snapshots(list_snapshots(copy), [Range(0, 2), Range(1, 2)], scratch)
        np.testing.assert_array_equal(average["w"], np.eye(4) * 3)
        np.testing.assert_array_equal(last["b"], np.full(3, 4))


def _states(directory: str) -> None:
    assert read_state(directory, "same") is None
    for step in (1, 2, 3):
        weights = {"w": np.full(2, step, np.float32)}
        positions = (Position(epoch=0, group=step, offset=7), Position())
        write_state(directory, State(step, positions, weights, {"m/w": weights["w"] * 10}), "same")
    state = read_state(directory, "same")
    assert (state.step, state.positions) == (3, (Position(epoch=0, group=3, offset=7), Position()))
    assert (state.weights["w"].tolist(), state.slots["m/w"].tolist()) == ([3, 3], [30, 30])
    names = [name for name in tf.io.gfile.listdir(directory) if name]
    assert {name.partition(".")[0] for name in names} == {"state-00000002", "state-00000003"}
    # A file that was cut on its way, as an interrupted copy leaves it.
    data = f"{directory}/state-00000003.data-00000-of-00001"
    with tf.io.gfile.GFile(data, "rb") as file:
        half = file.read(10)
    with tf.io.gfile.GFile(data, "wb") as file:
        file.write(half)
    assert read_state(directory, "same").step == 2


def _trees(directory: str) -> None:
    with tempfile.TemporaryDirectory() as source:
        os.makedirs(os.path.join(source, "variables"))
        for name in ("saved_model.pb", "variables/variables.index"):
            with open(os.path.join(source, name), "w", encoding="utf-8") as file:
                file.write(name * 1000)
        copy_remote_tree(source, directory)
    with local_tree(directory) as copy:
        for name in ("saved_model.pb", "variables/variables.index"):
            with open(os.path.join(copy, name), encoding="utf-8") as file:
                assert file.read() == name * 1000
        assert sorted(os.listdir(copy)) == ["saved_model.pb", "variables"]


if __name__ == "__main__":
    _snapshots(f"{sys.argv[1]}/snapshots")
    _states(f"{sys.argv[1]}/state")
    _trees(f"{sys.argv[1]}/model")
