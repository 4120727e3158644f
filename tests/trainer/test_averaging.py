"""Averages of ranges of snapshots: exact, read once, in little memory."""

import tempfile

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import trainer.averaging
from trainer.averaging import Range, average_snapshots
from trainer.snapshots import list_snapshots, write_snapshot

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
    return st.lists(pairs.map(lambda pair: Range(min(pair), max(pair))), min_size=1, max_size=12)


# 1 byte: no base fits into memory and all of them go through the scratch file.
@given(wanted=ranges(), memory_bytes=st.sampled_from([None, 1, 500]))
@settings(max_examples=25, deadline=None)
def test_equals_the_arithmetic_mean(snapshots, wanted, memory_bytes):
    with tempfile.TemporaryDirectory() as scratch:
        averages = average_snapshots(snapshots, wanted, scratch, memory_bytes)
        assert len(averages) == len(wanted)
        for one, average in zip(wanted, averages, strict=True):
            members = [values(index) for index in range(one.first, one.last + 1)]
            for name, shape in SHAPES.items():
                mean = np.mean([member[name] for member in members], axis=0, dtype=np.float64)
                assert average[name].dtype == np.float32
                assert average[name].shape == shape
                np.testing.assert_allclose(average[name], mean, rtol=6.1e-8, atol=1e-12)


def test_chunks_cover_a_large_tensor(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer.averaging, "_CHUNK", 7)
    for step in (1, 2, 3):
        write_snapshot(str(tmp_path), step, {"w": np.arange(50, dtype=np.float32) * step})
    wanted = [Range(0, 2), Range(1, 2)]
    for memory_bytes in (None, 1):
        both = average_snapshots(list_snapshots(str(tmp_path)), wanted, str(tmp_path), memory_bytes)
        np.testing.assert_array_equal(both[0]["w"], np.arange(50) * 2.0)
        np.testing.assert_array_equal(both[1]["w"], np.arange(50) * 2.5)


def test_reads_each_tensor_of_each_snapshot_once(snapshots, tmp_path, monkeypatch):
    reads = []
    restore = tf.raw_ops.RestoreV2

    def counted(**arguments):
        reads.append((arguments["prefix"], *arguments["tensor_names"]))
        return restore(**arguments)

    monkeypatch.setattr(tf.raw_ops, "RestoreV2", counted)
    wanted = [Range(1, 3), Range(1, 5), Range(2, 3), Range(3, 5), Range(0, 5), Range(7, 7)]
    average_snapshots(snapshots, wanted, str(tmp_path))
    inside = [snapshots[index].prefix for index in (0, 1, 2, 3, 4, 5, 7)]
    assert sorted(reads) == sorted((prefix, name) for prefix in inside for name in SHAPES)


def test_refuses_a_range_outside(snapshots, tmp_path):
    with pytest.raises(ValueError, match="within the 8 snapshots"):
        average_snapshots(snapshots, [Range(3, 8)], str(tmp_path))


def test_refuses_snapshots_of_different_models(tmp_path):
    write_snapshot(str(tmp_path), 1, {"w": np.zeros(2, np.float32)})
    write_snapshot(str(tmp_path), 2, {"w": np.zeros(3, np.float32)})
    with pytest.raises(ValueError, match="differ in the names or shapes"):
        average_snapshots(list_snapshots(str(tmp_path)), [Range(0, 1)], str(tmp_path))
