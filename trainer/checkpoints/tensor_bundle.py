"""Reads the index of a TensorFlow checkpoint ("tensor bundle"): where each tensor lies in the data files.

TensorFlow's own readers return whole tensors only, each in fresh memory whose pages the system clears first, which
takes ten times as long as reading the bytes, and they tell no places. A tensor whose place is known can be read in
pieces, which the averager needs to read each snapshot once in little memory. No library does this: there is no Python
interface to TensorFlow's tables, and LevelDB's Python packages open whole databases, not a single table. Besides,
TensorFlow believes a damaged index and may end the process over it, so every index is verified here first.

A bundle is files of raw tensors and an index: a table, in LevelDB's format and not compressed, from the name of a
tensor to its BundleEntryProto (google/leveldb doc/table_format.md; tensorflow/core/util/tensor_bundle).
"""

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import google_crc32c
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto

from trainer.base.errors import UserError
from trainer.base.wire_format import read_varint
from trainer.data.crc32c import mask_crc

_FOOTER_BYTES = 48
_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
_TRAILER = struct.Struct("<BI")
"""Stands behind a block: its compression, 0 for none, and the masked CRC-32C of the block and of this byte."""

SNAPSHOT_REMEDY = "remove this snapshot, or train it again"


class DamagedCheckpointError(UserError):
    """A file of a checkpoint is missing, was cut, or does not match its checksums.

    Args:
        message: One line: which file, what is wrong with it, and what to do.
        path: Path of the file.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path

    @property
    def prefix(self) -> str:
        """Path of the checkpoint without `.index` or `.data-...`."""
        return re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", self.path)


def damaged(path: str, reason: str, remedy: str) -> DamagedCheckpointError:
    """Makes the error that says that the file at `path` is damaged.

    Args:
        path: Path of the file.
        reason: What is wrong with it.
        remedy: What the user should do.
    """
    return DamagedCheckpointError(f"cannot read {path}: {' '.join(reason.split())}; {remedy}", path)


@dataclass(frozen=True, kw_only=True)
class Index:
    """The content of a checkpoint's index, whose checksums were verified.

    Attributes:
        prefix: Path of the checkpoint without `.index`.
        entries: Type, shape, place and checksum of each tensor, by its name, ascending.
        shards: Number of data files.
    """

    prefix: str
    entries: Mapping[str, BundleEntryProto]
    shards: int

    def data_file(self, shard: int) -> str:
        """Returns the path of the data file with this number."""
        return f"{self.prefix}.data-{shard:05d}-of-{self.shards:05d}"


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """The place of a float32 tensor in a checkpoint.

    Attributes:
        path: Path of the data file.
        offset: Place of the tensor's first byte in the file.
        shape: Dimensions of the tensor.
        masked_crc: CRC-32C of the tensor's bytes, masked as in TFRecord files.
    """

    path: str
    offset: int
    shape: tuple[int, ...]
    masked_crc: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))


def read_index(prefix: str, remedy: str = SNAPSHOT_REMEDY) -> Index:
    """Reads a checkpoint's index, and checks that its data files are there and long enough.

    The checksums of the tensors are not verified here, but when tensors are read.

    Args:
        prefix: Path without `.index`, on any file system that TensorFlow knows.
        remedy: What the error's message tells the user to do.

    Raises:
        DamagedCheckpointError: The index or a data file is missing or damaged.
    """
    path = f"{prefix}.index"
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            table = dict(_table(file.read()))
        shards = BundleHeaderProto.FromString(table.pop(b"")).num_shards
        entries = {
            name.decode(errors="surrogateescape"): BundleEntryProto.FromString(value)
            for name, value in table.items()
        }
    except tf.errors.OpError as error:
        raise damaged(path, error.message, remedy) from error
    except (ValueError, KeyError, IndexError, struct.error, DecodeError) as error:
        raise damaged(path, f"it is damaged ({error})", remedy) from error
    index = Index(prefix=prefix, entries=entries, shards=shards)
    ends: dict[int, int] = {}
    for entry in entries.values():
        ends[entry.shard_id] = max(ends.get(entry.shard_id, 0), entry.offset + entry.size)
    for shard, end in sorted(ends.items()):
        path = index.data_file(shard)
        try:
            size = tf.io.gfile.stat(path).length
        except tf.errors.OpError as error:
            raise damaged(path, error.message, remedy) from error
        if size < end:
            raise damaged(path, f"it ends early, {size} bytes where {end} should stand", remedy)
    return index


def stored_tensors(prefix: str) -> dict[str, StoredTensor]:
    """Returns the places of the tensors of a local checkpoint by name, ascending.

    Raises:
        DamagedCheckpointError: A file is missing, was cut, or the index is damaged.
        ValueError: A tensor is not float32.
    """
    index = read_index(prefix)
    tensors = {}
    for name, entry in index.entries.items():
        if entry.dtype != types_pb2.DT_FLOAT:
            kind = types_pb2.DataType.Name(entry.dtype)
            raise ValueError(f"{prefix}.index: {name} must be float32. Received: {kind}")
        tensors[name] = StoredTensor(
            path=index.data_file(entry.shard_id),
            offset=entry.offset,
            shape=tuple(dimension.size for dimension in entry.shape.dim),
            masked_crc=entry.crc32c,
        )
    return tensors


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of a table in ascending order; raises ValueError where it is damaged."""
    if not content.endswith(_MAGIC):
        raise ValueError("it does not end as an index does")
    # The footer has the places (offset, size) of the block of statistics and of the block of blocks.
    *_, offset, size = _varints(content, len(content) - _FOOTER_BYTES, 4)[0]
    for _, place in _entries(_block(content, offset, size)):
        yield from _entries(_block(content, *_varints(place, 0, 2)[0]))


def _block(content: bytes, offset: int, size: int) -> bytes:
    if offset + size + _TRAILER.size > len(content):
        raise ValueError("a block lies outside")
    compression, checksum = _TRAILER.unpack_from(content, offset + size)
    if compression or mask_crc(google_crc32c.value(content[offset : offset + size + 1])) != checksum:
        raise ValueError(f"wrong checksum of the block at byte {offset}")
    return content[offset : offset + size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the keys and values of a block. Keys are stored without what they share with the one before."""
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (restarts + 1)
    key, place = b"", 0
    while place < end:
        (shared, own, size), place = _varints(block, place, 3)
        key = key[:shared] + block[place : place + own]
        yield key, block[place + own : place + own + size]
        place += own + size


def _varints(content: bytes, place: int, count: int) -> tuple[list[int], int]:
    """Reads `count` numbers that stand one behind the other from a place on; returns them and the place behind."""
    values = []
    for _ in range(count):
        value, place = read_varint(content, place)
        values.append(value)
    return values, place
