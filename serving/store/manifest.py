"""The sha256 manifest of a model version: which files belong to it, and what is in them."""

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping

from trainer.base.errors import UserError


class DamagedVersionError(UserError):
    """A version is not, or cannot be shown to be, what was published."""


MANIFEST = "manifest.sha256"
"""In the format of sha256sum, so that an init container verifies a version with `sha256sum -c` and nothing
else."""

CHUNK = 4 * 2**20
"""Bytes read at a time: versions are up to 1 GiB and are never held in memory whole."""


def files_below(directory: str) -> Iterator[str]:
    """Paths relative to `directory`, with forward slashes, of all its files but the manifest; sorted."""
    found = []
    for parent, _, names in os.walk(directory, followlinks=True):
        inner = os.path.relpath(parent, directory)
        found += [os.path.normpath(os.path.join(inner, name)).replace(os.sep, "/") for name in names]
    yield from sorted(name for name in found if name != MANIFEST)


def file_digest(path: str) -> str:
    """Hexadecimal sha256 of one file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def encode_manifest(digests: Mapping[str, str]) -> bytes:
    """The manifest's content; `digests` is the sha256 of each file by its path within the version."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def decode_manifest(content: bytes) -> dict[str, str]:
    """sha256 of each file by its path within the version."""
    lines = (line.partition("  ") for line in content.decode(errors="replace").splitlines())
    return {name: digest for digest, _, name in lines}


def read_manifest(directory: str) -> dict[str, str] | None:
    """The version's manifest, None where it has none (a version that was put there by other means)."""
    try:
        with open(os.path.join(directory, MANIFEST), "rb") as file:
            return decode_manifest(file.read())
    except FileNotFoundError:
        return None


def same_content(left: Mapping[str, str] | None, right: Mapping[str, str], but: Collection[str]) -> bool:
    """Whether two manifests have equal files, those named in `but` left aside."""
    if left is None:
        return False
    without = [{name: digests[name] for name in digests if name not in but} for digests in (left, right)]
    return without[0] == without[1]


def check_digests(manifest: Mapping[str, str] | None, digests: Mapping[str, str], where: str) -> None:
    """Compares what there is with the manifest.

    Args:
        manifest: sha256 of each file as published; None where there is no manifest.
        digests: sha256 of each file as it is now, the manifest left out.
        where: The version's address, for the message.

    Raises:
        DamagedVersionError: If there is no manifest, or a file is missing, changed or not listed (the first one is
            named).
    """
    if manifest is None:
        raise DamagedVersionError(
            f"{where} has no {MANIFEST}, so that nobody can tell whether it is whole: publish it again"
        )
    for name in sorted(manifest.keys() | digests.keys()):
        problem = None
        if name not in digests:
            problem = "is missing"
        elif name not in manifest:
            problem = "is not in the manifest"
        elif digests[name] != manifest[name]:
            problem = "is not what was published"
        if problem:
            raise DamagedVersionError(
                f"{name} in {where} {problem}: delete this version and publish the model again"
            )


def check_manifest(directory: str, where: str | None = None) -> None:
    """Compares every file of a version with its manifest; see `check_digests`.

    Args:
        directory: Local one of the version.
        where: What messages call it, where that is not the directory.
    """
    digests = {name: file_digest(os.path.join(directory, name)) for name in files_below(directory)}
    check_digests(read_manifest(directory), digests, where or directory)
