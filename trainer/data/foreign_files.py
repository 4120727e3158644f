"""Files of other kinds, told by what they begin with."""

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
"""Kinds of files by their first bytes, of which twelve are looked at."""


def as_others_do(begin: bytes) -> str:
    """Says of what kind a file is that begins so and is none of TFRecords; an empty text for unknown kinds.

    >>> as_others_do(b"BZh91AY&SYq6")
    ', as a bzip2 file does: TFRecords are read plain or gzip'
    """
    kind = next((kind for first, kind in _KINDS.items() if begin.startswith(first)), None)
    return f", as {kind} does: TFRecords are read plain or gzip" if kind else ""
