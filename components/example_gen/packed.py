"""A JSON document and arrays in one small file that is read at once.

NumPy's own archive takes ten times as long to read, and a run reads one of each data file of all its spans.
"""

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

import google_crc32c
import numpy as np

_CHECKSUM_BYTES = 4


def pack(document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Puts a document and arrays into a block of bytes, which begins with the checksum of the rest."""
    described = {name: [np.lib.format.dtype_to_descr(one.dtype), one.shape] for name, one in arrays.items()}
    head = json.dumps([document, described]).encode()
    body = b"".join([len(head).to_bytes(4, "little"), head, *(one.tobytes() for one in arrays.values())])
    packed = zlib.compress(body, 1)
    return google_crc32c.value(packed).to_bytes(_CHECKSUM_BYTES, "little") + packed


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
    """Returns what `pack` was given; the arrays cannot be written to. None where the bytes are damaged."""
    packed = content[_CHECKSUM_BYTES:]
    if google_crc32c.value(packed) != int.from_bytes(content[:_CHECKSUM_BYTES], "little"):
        return None
    body = zlib.decompress(packed)
    begin = 4 + int.from_bytes(body[:4], "little")
    document, described = json.loads(body[4:begin])
    arrays = {}
    for name, (descr, shape) in described.items():
        kind = np.dtype([tuple(field) for field in descr] if isinstance(descr, list) else descr)
        count = math.prod(shape)  # np.prod takes longer than all else in this loop
        arrays[name] = np.frombuffer(body, kind, count, begin).reshape(shape)
        begin += count * kind.itemsize
    return document, arrays
