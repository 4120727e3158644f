"""The sha256 manifest of a model version: which files belong to it, and what is in them."""

import hashlib
import os
from collections.abc import Iterator

from trainer.errors import UserError

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


def write_manifest(directory: str, digests: dict[str, str]) -> str:
    """Writes `<directory>/manifest.sha256` durably.

    Args:
        directory: Of the version.
        digests: sha256 of each file by its path relative to `directory`.

    Returns:
        The digest of the manifest itself: equal for two versions only if all their files are equal.
    """
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))
    path = os.path.join(directory, MANIFEST)
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(lines)
        file.flush()
        os.fsync(file.fileno())
    return file_digest(path)


def manifest_digest(directory: str) -> str | None:
    """Digest of the version's manifest, None where it has none (a version that was put there by other
    means)."""
    path = os.path.join(directory, MANIFEST)
    return file_digest(path) if os.path.isfile(path) else None


def check_manifest(directory: str) -> None:
    """Compares every file of a version with its manifest.

    Raises:
        UserError: If the manifest is missing, or a file is missing, changed or not listed (the first one is
        named).
    """
    path = os.path.join(directory, MANIFEST)
    if not os.path.isfile(path):
        raise UserError(
            f"{directory} has no {MANIFEST}, so that nobody can tell whether it is whole: publish it again"
        )
    with open(path, encoding="utf-8") as file:
        expected = {name: digest for digest, _, name in (line.rstrip("\n").partition("  ") for line in file)}
    present = set(files_below(directory))
    for name in sorted(expected.keys() | present):
        problem = None
        if name not in present:
            problem = "is missing"
        elif name not in expected:
            problem = "is not in the manifest"
        elif file_digest(os.path.join(directory, name)) != expected[name]:
            problem = "is not what was published"
        if problem:
            raise UserError(
                f"{name} in {directory} {problem}: delete this version and publish the model again"
            )
