"""protobuf's wire format: messages taken apart where they lie, and the numbers that they are written with.

A parser copies what it parses, twice in Python; of a video's 350 KB that is most of the time it takes to read it. Here
the fields of a message are views of its bytes.

A varint is a number of seven bits a byte, the lowest first; the eighth bit of a byte says that another one follows.
TensorFlow's checkpoint indexes use it as well.

Reference: https://protobuf.dev/programming-guides/encoding/.
"""

from collections.abc import Iterator

from google.protobuf.message import DecodeError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_VARINT_BITS = 70


def byte_fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yields the length-delimited fields of a message (strings, bytes and messages) in order, without copying them.

    Args:
        data: A serialised message.

    Yields:
        The number of the field, and a view of its content. Fields of other types are passed over.

    Raises:
        DecodeError: The bytes are no message.
    """
    place, end = 0, len(data)
    while place < end:
        tag, place = read_varint(data, place)
        kind = tag & 7
        if kind == _VARINT:
            _, place = read_varint(data, place)
            continue
        if kind == _BYTES:
            size, place = read_varint(data, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise DecodeError(f"byte {place}: wire type {kind}")
        if tag < 8 or place + size > end:
            raise DecodeError(f"byte {place}: a field of {size} bytes, of which {end - place} are there")
        if kind == _BYTES:
            yield tag >> 3, data[place : place + size]
        place += size


def byte_field(number: int, parts: list[bytes]) -> list[bytes]:
    """Serialises a length-delimited field without joining its parts, which may be large.

    Args:
        number: The field's number in its message.
        parts: The content in pieces.

    Returns:
        The pieces of the field: its tag, its size, and then the parts as they are.
    """
    return [varint(number << 3 | _BYTES), varint(sum(map(len, parts))), *parts]


def read_varint(data: bytes | memoryview, place: int) -> tuple[int, int]:
    """Reads the varint that begins at byte `place`.

    Returns:
        The number, and the place of the byte behind it.

    Raises:
        DecodeError: The data end within the number, or it has more than 10 bytes.
    """
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


def varint(value: int) -> bytes:
    """Serialises a number of at least 0 as a varint."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
