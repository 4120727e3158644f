"""Serialised protocol buffers taken apart where they lie.

A parser copies what it parses, twice in Python; of a video's 350 KB that is most of the time it takes to read it. Here
the fields of a message are views of its bytes.

Reference: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator

from google.protobuf.message import DecodeError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT_BITS = 70


def byte_fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each length-delimited field, in order; numbers of other types are left out.

    Raises:
        DecodeError: The bytes are no message.
    """
    place, end = 0, len(data)
    while place < end:
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == _VARINT:
            _, place = _varint(data, place)
            continue
        if kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise DecodeError(f"byte {place}: wire type {kind}")
        if tag < 8 or place + size > end:
            raise DecodeError(f"byte {place}: a field of {size} bytes, of which {end - place} are there")
        if kind == _BYTES:
            yield tag >> 3, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """The number that begins at `place`, and where it ends."""
    value = shift = 0
    try:
        while (byte := data[place]) & 0x80 and shift < _MOST_VARINT_BITS:
            value |= (byte & 0x7F) << shift
            shift += 7
            place += 1
    except IndexError as error:
        raise DecodeError("the bytes end within a number") from error
    if shift >= _MOST_VARINT_BITS:
        raise DecodeError(f"byte {place}: a number of more than 10 bytes")
    return value | byte << shift, place + 1
