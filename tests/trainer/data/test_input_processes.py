"""Batches from several processes: each process's own stream in turn, from any place, and nothing left running."""

import contextlib
import gc
import os
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tests.records import write_shards
from trainer.base.errors import UserError
from trainer.data.input_pipeline import Batch, Position, train_batches
from trainer.data.input_processes import batches_of_processes

CLASSES = 12
SETTINGS = {
    "batch_size": 4, "frames_per_video": 5, "seed": 3, "shuffle_buffer": 8, "files_per_group": 2,
    "num_classes": CLASSES,
}  # fmt: skip
TWO = (Position(), Position())


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return write_shards(tmp_path_factory.mktemp("shards"), shards=5, videos=9, num_classes=CLASSES)


def alone(files: list[str], number: int, count: int) -> list[Batch]:
    """The first batches of one of two processes."""
    share = {**SETTINGS, "seed": 2 * 3 + number, "shuffle_buffer": 4, "files_per_group": 1}
    return list(islice(train_batches(files[number::2], **share), count))


def copied(batches: Iterator[Batch], count: int) -> list[Batch]:
    return [{name: value.copy() for name, value in batch.items()} for batch in islice(batches, count)]


def assert_same(found: list[Batch], expected: list[Batch]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for name, value in other.items():
            np.testing.assert_array_equal(one[name], value)


def test_each_process_has_its_turn_and_a_batch_stays_as_long_as_somebody_holds_it(shards) -> None:
    batches = batches_of_processes(shards, 2, TWO, **SETTINGS)
    first = next(batches)
    kept = first["frames"].copy()
    rest = copied(batches, 39)  # many more than there is memory for
    np.testing.assert_array_equal(first["frames"], kept)
    expected = [batch for pair in zip(*(alone(shards, n, 20) for n in (0, 1)), strict=True) for batch in pair]
    assert_same([first, *rest], expected)
    assert first["frames"].ctypes.data % 64 == 0
    assert first["frames"].flags.writeable, "a tensor can share it"
    batches.close()


def test_it_goes_on_from_the_place_of_each_process(shards) -> None:
    batches = batches_of_processes(shards, 2, TWO, **SETTINGS)
    before, after = copied(batches, 7), copied(batches, 6)
    batches.close()
    places = [Position.after(before[6]), Position.after(before[5])]
    # The seventh batch was of the first process: the next is the second one's.
    again = batches_of_processes(shards, 2, places, first=1, **SETTINGS)
    assert_same(copied(again, 6), after)
    again.close()


def test_one_process_is_none_beside_this_one(shards) -> None:
    found = copied(batches_of_processes(shards, 1, [Position()], **SETTINGS), 5)
    assert_same(found, copied(train_batches(shards, **SETTINGS), 5))


def test_what_is_wrong_with_the_input_is_said_here(shards, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="6 processes need as many files, and there are 5"):
        next(batches_of_processes(shards, 6, [Position()] * 6, **SETTINGS))
    broken = tmp_path / "broken.tfrecord"
    broken.write_bytes(Path(shards[0]).read_bytes()[:-9])
    with pytest.raises(UserError, match=r"broken\.tfrecord, byte \d+: truncated_file"):
        copied(batches_of_processes([str(broken), shards[1]], 2, TWO, **SETTINGS), 40)


def test_a_process_that_is_killed_ends_the_training_and_none_is_left(shards) -> None:
    def children() -> set[int]:
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                parent = process.joinpath("stat").read_text().rpartition(")")[2].split()[1]
                if (
                    int(parent) == os.getpid()
                    and b"input_processes" in process.joinpath("cmdline").read_bytes()
                ):
                    found.add(int(process.name))
        return found

    gc.collect()
    before = children()
    batches = batches_of_processes(shards, 2, TWO, **SETTINGS)
    next(batches)
    started = children() - before
    assert len(started) == 2
    os.kill(min(started), signal.SIGKILL)
    with pytest.raises(RuntimeError, match="a process that reads the input ended with code -9"):
        copied(batches, 40)
    assert children() <= before
