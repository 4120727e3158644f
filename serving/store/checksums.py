"""The two checksums of a file that is published to a bucket."""

import base64
import hashlib
import io
from collections.abc import Mapping
from typing import NamedTuple

import google_crc32c

from serving.store.manifest import CHUNK


class Checksums(NamedTuple):
    """Of one file.

    Attributes:
        sha256: Hexadecimal, as in the manifest.
        crc32c: Base64 of the big-endian bytes, as Cloud Storage gives it.
    """

    sha256: str
    crc32c: str


def checksums(content: bytes | str) -> Checksums:
    """Of a content, or of the file at a path."""
    sha256, crc32c = hashlib.sha256(), google_crc32c.Checksum()
    with io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb") as file:
        while chunk := file.read(CHUNK):
            sha256.update(chunk)
            crc32c.update(chunk)
    return Checksums(sha256.hexdigest(), base64.b64encode(crc32c.digest()).decode())


def digests(sums: Mapping[str, Checksums]) -> dict[str, str]:
    """The sha256 of each file, as a manifest has them."""
    return {name: each.sha256 for name, each in sums.items()}
