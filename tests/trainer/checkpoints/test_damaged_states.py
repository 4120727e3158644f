"""Training states and snapshots on a bad disk: found, passed over with a line, and never other numbers."""

import contextlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from tests.records import write_shards
from tests.trainer.damage import damages
from trainer.checkpoints import snapshots as snapshots_module
from trainer.checkpoints.averaging import average_snapshots
from trainer.checkpoints.range import Range
from trainer.checkpoints.snapshots import list_snapshots, read_snapshot, write_snapshot, write_tensors
from trainer.checkpoints.tensor_bundle import DamagedCheckpointError
from trainer.data.input_pipeline import Position
from trainer.model.model_spec import ModelSpec
from trainer.training.config import TrainingConfig
from trainer.training.loop import train
from trainer.training.state import State, read_state, write_state


def state(step: int) -> State:
    weights = {
        f"{name}/weights": np.full((5, 40), step + place, np.float32) for place, name in enumerate("abc")
    }
    slots = {f"{name}/m": value * 10 for name, value in weights.items()}
    return State(step, (Position(epoch=0, group=step, offset=7),), weights, slots)


def assert_is(found: State | None, step: int) -> None:
    assert found is not None
    assert (found.step, found.positions) == (step, state(step).positions)
    for ours, theirs in ((found.weights, state(step).weights), (found.slots, state(step).slots)):
        assert ours.keys() == theirs.keys()
        for name, value in theirs.items():
            np.testing.assert_array_equal(ours[name], value)


@pytest.fixture(scope="module")
def two_states(tmp_path_factory):
    directory = tmp_path_factory.mktemp("states")
    for step in (5, 10, 15):
        write_state(str(directory), state(step), "same")
    return directory


def test_the_last_two_states_are_kept(two_states):
    assert sorted(path.name for path in two_states.glob("*.index")) == [
        "state-00000010.index",
        "state-00000015.index",
    ]
    assert_is(read_state(str(two_states), "same"), 15)


@settings(max_examples=150)
@given(damage=damages)
def test_a_damaged_state_is_passed_over_for_the_one_before(two_states, damage):
    with damage.done_to(sorted(two_states.glob("state-00000015.*"))):
        found = read_state(str(two_states), "same")
    # The newest only where the damage is in bytes that say nothing: the padding of the index.
    assert_is(found, found.step)
    assert found.step in (10, 15)


def test_a_cut_state_is_named_in_a_line(two_states, caplog):
    path = two_states / "state-00000015.data-00000-of-00001"
    content = path.read_bytes()
    try:
        os.truncate(path, len(content) // 2)
        assert_is(read_state(str(two_states), "same"), 10)
    finally:
        path.write_bytes(content)
    (line,) = caplog.messages
    assert line.startswith(f"training state of step 15: cannot read {path}: it ends early")


def test_when_both_are_damaged_training_starts_anew_and_says_so(two_states, tmp_path, caplog):
    directory = shutil.copytree(two_states, tmp_path / "state")
    for path in directory.glob("*.data-*"):
        os.truncate(path, 3)
    assert read_state(str(directory), "same") is None
    assert caplog.messages[-1].endswith("is whole: training starts anew, from step 0")
    # What is damaged does not push out what the new run writes.
    write_state(str(directory), state(5), "same")
    assert [path.name for path in directory.glob("*.index")] == ["state-00000005.index"]
    write_state(str(directory), state(10), "same")
    assert_is(read_state(str(directory), "same"), 10)


@pytest.mark.parametrize("ending", ["index", "data-00000-of-00001"])
def test_states_that_have_lost_a_file(two_states, tmp_path, caplog, ending):
    directory = shutil.copytree(two_states, tmp_path / "state")
    (directory / f"state-00000015.{ending}").unlink()
    assert_is(read_state(str(directory), "same"), 10)
    (directory / f"state-00000010.{ending}").unlink()
    assert read_state(str(directory), "same") is None
    assert "training starts anew" in caplog.messages[-1]


def test_a_checkpoint_is_on_the_disk_before_the_write_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        snapshots_module, "sync_path", lambda path: synced.append(os.path.relpath(path, tmp_path))
    )
    write_tensors(str(tmp_path / "x"), {"a": np.ones(3, np.float32)})
    assert synced == ["x.data-00000-of-00001", "x.index", "."]


def test_an_older_state_goes_only_when_the_new_one_is_on_the_disk(tmp_path, monkeypatch):
    for step in (5, 10):
        write_state(str(tmp_path), state(step), "same")

    def power_fails(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(snapshots_module, "sync_path", power_fails)
    with pytest.raises(KeyboardInterrupt):
        write_state(str(tmp_path), state(15), "same")
    assert {path.name for path in tmp_path.glob("*.index")} >= {
        "state-00000005.index",
        "state-00000010.index",
    }


@pytest.fixture(scope="module")
def two_snapshots(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("snapshots"))
    for step in (1, 2):
        write_snapshot(directory, step, state(step).weights)
    return directory


@settings(max_examples=100)
@given(damage=damages)
def test_a_damaged_snapshot_is_no_other_snapshot(two_snapshots, tmp_path_factory, damage):
    found = list_snapshots(two_snapshots)
    scratch = str(tmp_path_factory.mktemp("averages"))
    with damage.done_to(sorted(Path(two_snapshots).iterdir())):
        with contextlib.suppress(DamagedCheckpointError):
            read = [read_snapshot(snapshot.prefix) for snapshot in found]
            for step, weights in zip((1, 2), read, strict=True):
                assert weights.keys() == state(step).weights.keys()
                for name, value in state(step).weights.items():
                    np.testing.assert_array_equal(weights[name], value)
        with contextlib.suppress(DamagedCheckpointError):
            (average,) = average_snapshots(found, [Range(0, 1)], scratch)
            for name, value in state(1).weights.items():
                np.testing.assert_array_equal(average[name], value + 0.5)


def test_a_run_whose_newest_state_was_cut_ends_with_the_same_weights(tmp_path, caplog):
    shards = write_shards(tmp_path, shards=2, videos=10, num_classes=6)
    config = TrainingConfig(
        steps=6, batch_size=4, frames_per_video=2, snapshot_every=3, state_every=2, eval_slice=0,
        shuffle_buffer=8, files_per_group=2,
    )  # fmt: skip
    directory, spec = tmp_path / "run", ModelSpec.parse("K2-H2", 6)
    expected = train(spec, config, shards, shards, str(directory)).weights()
    assert {path.name for path in (directory / "state").glob("*.index")} == {
        "state-00000004.index",
        "state-00000006.index",
    }
    os.truncate(directory / "state" / "state-00000006.data-00000-of-00001", 100)
    caplog.set_level("INFO", logger="yt8m.train")
    again = train(spec, config, shards, shards, str(directory)).weights()
    assert "K2-H2: going on from step 4" in caplog.messages
    for name, value in expected.items():
        np.testing.assert_array_equal(again[name], value)
