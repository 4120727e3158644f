"""Where a TensorFlow checkpoint ("tensor bundle") keeps each tensor.

TensorFlow's own readers give whole tensors, each in fresh memory whose pages the system clears first, which takes
ten times as long as reading the bytes. Who knows the place of a tensor can read it in pieces.

A bundle is files of raw tensors and an index: a table, in LevelDB's format and not compressed, from the name of a
tensor to its BundleEntryProto (google/leveldb doc/table_format.md; tensorflow/core/util/tensor_bundle).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import google_crc32c
import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf.tensor_bundle_pb2 import BundleEntryProto, BundleHeaderProto

from trainer.errors import UserError
from trainer.tfrecord import mask_crc

_FOOTER_BYTES = 48
_MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
_TRAILER = struct.Struct("<BI")
"""Behind a block: its compression, 0 for none, and the masked CRC-32C of the block and this byte."""


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


def stored_tensors(prefix: str) -> dict[str, StoredTensor]:
    """The tensors of a local checkpoint by name, ascending.

    Raises:
        UserError: The index cannot be read.
        ValueError: A tensor is not float32.
    """
    path = f"{prefix}.index"
    try:
        with open(path, "rb") as file:
            table = dict(_table(file.read()))
        shards = BundleHeaderProto.FromString(table.pop(b"")).num_shards
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise UserError(f"cannot read {path}: {error}; remove this snapshot, or train it again") from error
    tensors = {}
    for name, value in table.items():
        entry = BundleEntryProto.FromString(value)
        if entry.dtype != types_pb2.DT_FLOAT:
            kind = types_pb2.DataType.Name(entry.dtype)
            raise ValueError(f"{path}: {name.decode()} must be float32. Received: {kind}")
        tensors[name.decode()] = StoredTensor(
            path=f"{prefix}.data-{entry.shard_id:05d}-of-{shards:05d}",
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
