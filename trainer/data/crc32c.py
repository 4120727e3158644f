"""CRC-32C, as TFRecord files and TensorFlow's checkpoints store it, and of whole files."""

from typing import Any

import google_crc32c

_CHUNK_BYTES = 1 << 20
_MASK_DELTA = 0xA282EAD8


def masked_crc(data: bytes) -> int:
    """Returns the masked CRC-32C of `data`."""
    return mask_crc(google_crc32c.value(data))


def mask_crc(crc: int) -> int:
    """Masks a CRC-32C: rotates and shifts it, as TFRecord files and TensorFlow's checkpoints store it."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def is_header(begin: bytes) -> bool:
    """Whether a TFRecord may begin so: with its length, 8 bytes, and their masked CRC-32C."""
    return len(begin) >= 12 and int.from_bytes(begin[8:12], "little") == masked_crc(begin[:8])


class Checksum:
    """The CRC-32C of all bytes of a file, taken while it is read or written."""

    def __init__(self) -> None:
        self._file: Any = None
        self._crc = 0
        self.count = 0
        """Number of bytes so far."""

    def watch(self, file: Any) -> "Checksum":
        """Begins with an open file, at its beginning; it is to be read or written through this object then."""
        self._file, self._crc, self.count = file, 0, 0
        return self

    def read(self, count: int = -1) -> bytes:
        """Reads on."""
        data = self._file.read(count)
        self._add(data)
        return data

    def write(self, data: bytes) -> None:
        """Writes on."""
        self._file.write(data)
        self._add(data)

    def tell(self) -> int:
        """Returns the number of bytes that were read."""
        return self._file.tell()

    def finish(self) -> None:
        """Reads what is left of the file."""
        while self.read(_CHUNK_BYTES):
            pass

    @property
    def hexadecimal(self) -> str:
        """The checksum, 8 hexadecimal digits."""
        return f"{self._crc:08x}"

    def _add(self, data: bytes) -> None:
        self._crc = google_crc32c.extend(self._crc, data)
        self.count += len(data)
