"""Averages of ranges of snapshots: exact, read once, in little memory."""

import tempfile
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainer.checkpoints.averaging
from trainer.base.errors import UserError
from trainer.checkpoints.averaging import average_snapshots
from trainer.checkpoints.piece_reader import PieceReader
from trainer.checkpoints.range import Range
from trainer.checkpoints.snapshots import list_snapshots, write_snapshot

SHAPES = {"scalar": (), "a/weights": (3, 5), "b/bn/beta": (7,)}
COUNT = 8


def values(index: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(index)
    # Of very different sizes from snapshot to snapshot: a float32 sum would lose the small ones.
    return {
        name: np.asarray(generator.normal(size=shape) * 10.0 ** (index % 5), np.float32)
        for name, shape in SHAPES.items()
    }


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("snapshots"))
    for index in range(COUNT):
        write_snapshot(directory, 10 * (index + 1), values(index))
    return list_snapshots(directory)


def ranges(count: int = COUNT) -> st.SearchStrategy[list[Range]]:
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    decays = st.sampled_from([1.0, 1.0, 0.9, 0.3])
    made = st.builds(lambda pair, decay: Range(min(pair), max(pair), decay), pairs, decays)
    return st.lists(made, min_size=1, max_size=12)


@given(wanted=ranges())
@settings(max_examples=25, deadline=None)
def test_equals_the_weighted_mean(snapshots, wanted):
    with tempfile.TemporaryDirectory() as scratch:
        averages = average_snapshots(snapshots, wanted, scratch)
        assert len(averages) == len(wanted)
        for one, average in zip(wanted, averages, strict=True):
            members = [values(index) for index in range(one.first, one.last + 1)]
            for name, shape in SHAPES.items():
                stack = np.stack([member[name] for member in members]).astype(np.float64)
                mean = np.average(stack, axis=0, weights=one.decay ** np.arange(one.count)[::-1])
                assert average[name].dtype == np.float32
                assert average[name].shape == shape
                np.testing.assert_allclose(average[name], mean, rtol=6.1e-8, atol=1e-12)


def test_pieces_cover_a_large_tensor(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer.checkpoints.averaging, "_PIECE", 7)
    for step in (1, 2, 3):
        write_snapshot(str(tmp_path), step, {"w": np.arange(50, dtype=np.float32) * step})
    both = average_snapshots(list_snapshots(str(tmp_path)), [Range(0, 2), Range(1, 2)], str(tmp_path))
    np.testing.assert_array_equal(both[0]["w"], np.arange(50) * 2.0)
    np.testing.assert_array_equal(both[1]["w"], np.arange(50) * 2.5)


def test_reads_each_byte_of_each_snapshot_once(snapshots, tmp_path, monkeypatch):
    reads = Counter()
    read = PieceReader.read

    def counted(reader, piece):
        reads[reader.tensor.path] += piece.nbytes
        read(reader, piece)

    monkeypatch.setattr(PieceReader, "read", counted)
    wanted = [Range(1, 3), Range(1, 5), Range(2, 3), Range(3, 5), Range(0, 5), Range(7, 7), Range(0, 5, 0.9)]
    average_snapshots(snapshots, wanted, str(tmp_path))
    size = sum(value.nbytes for value in values(0).values())
    inside = [snapshots[index].prefix for index in (0, 1, 2, 3, 4, 5, 7)]
    assert reads == {f"{prefix}.data-00000-of-00001": size for prefix in inside}


def test_names_a_damaged_snapshot(tmp_path):
    for step in (1, 2, 3):
        write_snapshot(str(tmp_path), step, values(step))
    damaged = tmp_path / "snapshot-00000002.data-00000-of-00001"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    snapshots = list_snapshots(str(tmp_path))
    with pytest.raises(UserError, match=r"snapshot-00000002.*checksum"):
        average_snapshots(snapshots, [Range(0, 2)], str(tmp_path))
    assert average_snapshots(snapshots, [Range(2, 2)], str(tmp_path))


def test_refuses_a_range_outside(snapshots, tmp_path):
    with pytest.raises(ValueError, match="within the 8 snapshots"):
        average_snapshots(snapshots, [Range(3, 8)], str(tmp_path))
    with pytest.raises(ValueError, match="decay must be above 0"):
        average_snapshots(snapshots, [Range(3, 5, 0.0)], str(tmp_path))


def test_refuses_snapshots_of_different_models(tmp_path):
    write_snapshot(str(tmp_path), 1, {"w": np.zeros(2, np.float32)})
    write_snapshot(str(tmp_path), 2, {"w": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match="differ in the names or shapes"):
        average_snapshots(list_snapshots(str(tmp_path)), [Range(0, 1)], str(tmp_path))
