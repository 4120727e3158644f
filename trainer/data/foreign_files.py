"""Files of other kinds, told by what they begin with."""

import string
import zlib

from trainer.base.files import open_file
from trainer.data.crc32c import is_header

BEGIN_BYTES = 512
"""How much of a file tells its kind: the first block of a tar archive."""

_KINDS = {
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"PK\x03\x04": "a zip file",
    b"PAR1": "a Parquet file",
    b"version http": "a pointer of Git LFS",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"<?xml": "an XML file",
}
"""Kinds of files by their first bytes."""
_TAR_MAGIC, _TAR_OFFSET = b"ustar", 257
_GZIP = b"\x1f\x8b\x08"
_TEXT = frozenset(string.printable.encode())
_LEAST_TEXT, _MOST_TEXT = 4, 12
"""How many bytes are looked at. A TFRecord file begins with a length of 8 bytes; that of a video is less than 2^24, so
that its fourth byte is zero, which no text has."""


def foreign_kind(begin: bytes) -> str | None:
    """Returns what a file is that begins so, such as "a zip file"; None for kinds that are not known here.

    >>> foreign_kind(b"BZh91AY&SYq6")
    'a bzip2 file'
    """
    if is_header(begin):
        return None
    if known := next((kind for first, kind in _KINDS.items() if begin.startswith(first)), None):
        return known
    if begin[_TAR_OFFSET:].startswith(_TAR_MAGIC):
        return "a tar archive"
    is_text = len(begin) >= _LEAST_TEXT and _TEXT.issuperset(begin[:_MOST_TEXT])
    return "a text file" if is_text else None


def foreign_file(path: str) -> str | None:
    """Returns what a file is, or what is in it where it is compressed by gzip; None for kinds that are not known here.

    Args:
        path: The file, local or in a bucket, of which the beginning is read.
    """
    with open_file(path, "rb") as file:
        begin = file.read(BEGIN_BYTES)
    if begin.startswith(_GZIP):
        try:
            begin = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(begin, BEGIN_BYTES)
        except zlib.error:
            return None
    return foreign_kind(begin)
