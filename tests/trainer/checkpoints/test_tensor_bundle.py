"""Checkpoints read by pieces: the same tensors that TensorFlow reads, and no damage goes unnoticed."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.base.errors import UserError
from trainer.checkpoints.piece_reader import PieceReader
from trainer.checkpoints.snapshots import write_snapshot, write_tensors
from trainer.checkpoints.tensor_bundle import stored_tensors


def read(tensor, piece_size):
    pieces = [
        np.empty(min(piece_size, tensor.size - start), np.float32)
        for start in range(0, tensor.size, piece_size)
    ]
    with PieceReader(tensor) as reader:
        for piece in pieces:
            reader.read(piece)
    return np.concatenate(pieces).reshape(tensor.shape)


# Enough names for several blocks of the index; TensorFlow shortens names that begin alike.
@settings(max_examples=20)
@given(
    names=st.sets(st.from_regex(r"[ab]{1,3}/[a-z_0-9]{1,80}", fullmatch=True), min_size=1, max_size=120),
    piece_size=st.integers(1, 9),
)
def test_the_tensors_that_tensorflow_reads(tmp_path_factory, names, piece_size):
    prefix = str(tmp_path_factory.mktemp("bundle") / "x")
    generator = np.random.default_rng(len(names))
    written = {}
    for name in names:
        shape = generator.integers(1, 4, generator.integers(0, 4))
        written[name] = np.asarray(generator.normal(size=shape), np.float32)
    write_tensors(prefix, written)
    stored = stored_tensors(prefix)
    assert list(stored) == sorted(written)
    for name, value in written.items():
        assert stored[name].shape == value.shape
        np.testing.assert_array_equal(read(stored[name], piece_size), value)


@pytest.fixture
def snapshot(tmp_path):
    weights = {"a": np.arange(6, dtype=np.float32), "b": np.ones((2, 3), np.float32)}
    return write_snapshot(str(tmp_path), 1, weights).prefix


def test_any_flipped_bit_of_a_tensor_is_noticed(snapshot):
    path = f"{snapshot}.data-00000-of-00001"
    with open(path, "rb") as file:
        content = file.read()
    tensor = stored_tensors(snapshot)["b"]
    for place in range(tensor.offset, tensor.offset + 24):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        with open(path, "wb") as file:
            file.write(damaged)
        with pytest.raises(UserError, match="wrong checksum of the tensor at byte 24"):
            read(tensor, 4)


def test_a_file_that_ends_early_or_is_gone(snapshot, tmp_path):
    path = tmp_path / "snapshot-00000001.data-00000-of-00001"
    tensor = stored_tensors(snapshot)["b"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="ends early; remove this snapshot"):
        read(tensor, 6)
    path.unlink()
    with pytest.raises(UserError, match="No such file"):
        read(tensor, 6)


@settings(max_examples=200)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_index_never_passes_for_another_one(tmp_path_factory, place, bit, cut):
    prefix = str(tmp_path_factory.mktemp("bundle") / "x")
    write_tensors(prefix, {"a": np.arange(6, dtype=np.float32)})
    whole = stored_tensors(prefix)
    with open(f"{prefix}.index", "rb") as file:
        content = bytearray(file.read())
    position = int(place * len(content))
    if cut:
        del content[position:]
    else:
        content[position] ^= 1 << bit
    with open(f"{prefix}.index", "wb") as file:
        file.write(content)
    # Padding of the footer, and the place of the statistics, may change without harm.
    with contextlib.suppress(UserError):
        assert stored_tensors(prefix) == whole


def test_other_types_are_refused(tmp_path):
    write_tensors(str(tmp_path / "x"), {"a": tf.constant([1.0], tf.float16)})
    with pytest.raises(ValueError, match="a must be float32"):
        stored_tensors(str(tmp_path / "x"))
