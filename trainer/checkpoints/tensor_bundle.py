"""Where a TensorFlow checkpoint ("tensor bundle") keeps each tensor.

TensorFlow's own readers give whole tensors, each in fresh memory whose pages the system clears first, which takes
ten times as long as reading the bytes. Who knows the place of a tensor can read it in pieces.

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
from trainer.data.tfrecord import mask_crc

_FOOTER_BYTES = 48
_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
_TRAILER = struct.Struct("<BI")
"""Behind a block: its compression, 0 for none, and the masked CRC-32C of the block and this byte."""

SNAPSHOT_REMEDY = "remove this snapshot, or train it again"


class DamagedCheckpointError(UserError):
    """A file of a checkpoint is missing, was cut, or does not match its checksums.

    Args:
        message: One line: which file, what is wrong with it, and what to do.
        path: The file.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path

    @property
    def prefix(self) -> str:
        """Path of the checkpoint without `.index` or `.data-...`."""
        return re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", self.path)


def damaged(path: str, reason: str, remedy: str) -> DamagedCheckpointError:
    """The error that says that the file at `path` is damaged."""
    return DamagedCheckpointError(f"cannot read {path}: {' '.join(reason.split())}; {remedy}", path)


@dataclass(frozen=True, kw_only=True)
class Index:
    """What the index of a checkpoint says, its checksums verified.

    Attributes:
        prefix: Path of the checkpoint without `.index`.
        entries: Type, shape, place and checksum of each tensor by its name, ascending.
        shards: Number of data files.
    """

    prefix: str
    entries: Mapping[str, BundleEntryProto]
    shards: int

    def data_file(self, shard: int) -> str:
        """Path of a data file."""
        return f"{self.prefix}.data-{shard:05d}-of-{self.shards:05d}"


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """The place of a float32 tensor.

    Attributes:
        path: File.
        offset: Its first byte there.
        shape: Its shape.
        masked_crc: CRC-32C of its bytes, masked as in TFRecord files.
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
    """Reads a checkpoint's index, and sees that its data files are there and long enough.

    TensorFlow's own reader believes the places in a damaged index and may end the process over them, so that every
    reader of ours asks this first. The tensors' own checksums are not verified here: who reads them does that.

    Args:
        prefix: Path without `.index`, on any file system that TensorFlow knows.
        remedy: What the error's message tells the user to do.

    Raises:
        DamagedCheckpointError: If the index or a data file is missing or damaged.
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
    """The tensors of a local checkpoint by name, ascending.

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
    """Keys and values in ascending order; ValueError where the table is damaged."""
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
    """Keys, each stored as what it does not share with the one before, and values."""
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 * (restarts + 1)
    key, place = b"", 0
    while place < end:
        (shared, own, size), place = _varints(block, place, 3)
        key = key[:shared] + block[place : place + own]
        yield key, block[place + own : place + own + size]
        place += own + size


def _varints(content: bytes, place: int, count: int) -> tuple[list[int], int]:
    """So many integers of 7 bits a byte, lowest first, from a place on; and the place behind them."""
    values = []
    for _ in range(count):
        value = shift = 0
        while content[place] & 0x80:
            value |= (content[place] & 0x7F) << shift
            place, shift = place + 1, shift + 7
        values.append(value | content[place] << shift)
        place += 1
    return values, place
