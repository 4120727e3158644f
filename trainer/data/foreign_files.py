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


def foreign_kind(begin: bytes) -> str | None:
    """Returns what a file is that begins so, such as "a zip file"; None for kinds that are not known here.

    >>> foreign_kind(b"BZh91AY&SYq6")
    'a bzip2 file'
    """
    return next((kind for first, kind in _KINDS.items() if begin.startswith(first)), None)
