"""The manifest of a model version: the sha256 of each of its files."""

import hashlib
import os
import re
from collections.abc import Collection, Iterator, Mapping

from trainer.base.errors import UserError


class DamagedVersionError(UserError):
    """A version differs from what was published, or has no manifest to tell."""


_SHA256 = re.compile("[0-9a-f]{64}")
_WEIGHTS = "variables/variables.data-"
"""How the names of the files begin that an export's manifest leaves out (see `write_export_manifest`)."""

MANIFEST = "manifest.sha256"
"""Name of the manifest. It has the format of sha256sum, so that an init container needs only `sha256sum -c`."""

CHUNK = 4 * 2**20
"""Bytes read at a time: versions are up to 1 GiB and are never held in memory whole."""


def files_below(directory: str) -> Iterator[str]:
    """Yields the paths of all files below a directory but the manifest: relative, with forward slashes, sorted."""
    found = []
    for parent, _, names in os.walk(directory, followlinks=True):
        inner = os.path.relpath(parent, directory)
        found += [os.path.normpath(os.path.join(inner, name)).replace(os.sep, "/") for name in names]
    yield from sorted(name for name in found if name != MANIFEST)


def file_digest(path: str) -> str:
    """Returns the sha256 of a local file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def encode_manifest(digests: Mapping[str, str]) -> bytes:
    """Makes the content of a manifest.

    Args:
        digests: The sha256 of each file by its path in the version.
    """
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def decode_manifest(content: bytes) -> dict[str, str]:
    """Returns the sha256 of each file by its path in the version."""
    lines = (line.partition("  ") for line in content.decode(errors="replace").splitlines())
    return {name: digest for digest, _, name in lines}


def is_whole(manifest: Mapping[str, str]) -> bool:
    """Whether each line of a manifest was a checksum and a name, as in one that nothing has damaged."""
    return all(name and _SHA256.fullmatch(digest) for name, digest in manifest.items())


def read_manifest(directory: str) -> dict[str, str] | None:
    """Reads the manifest of a version in a local directory; None for a version that was put there by other means."""
    try:
        with open(os.path.join(directory, MANIFEST), "rb") as file:
            return decode_manifest(file.read())
    except FileNotFoundError:
        return None


def same_content(left: Mapping[str, str] | None, right: Mapping[str, str], but: Collection[str]) -> bool:
    """Whether two manifests have the same files with the same content.

    Args:
        left: A manifest; None for a version without one, which is the same as no other.
        right: The other manifest.
        but: Paths of files that are left out of the comparison.
    """
    if left is None:
        return False
    without = [{name: digests[name] for name in digests if name not in but} for digests in (left, right)]
    return without[0] == without[1]


def check_digests(manifest: Mapping[str, str] | None, digests: Mapping[str, str], where: str) -> None:
    """Compares the files of a version with its manifest.

    Args:
        manifest: The sha256 of each file as it was published; None where there is no manifest.
        digests: The sha256 of each file as it is now, without the manifest.
        where: Address of the version, for the message.

    Raises:
        DamagedVersionError: There is no manifest, or a file is missing, changed or not listed. The message names the
            first such file.
    """
    if manifest is None:
        raise DamagedVersionError(
            f"{where} has no {MANIFEST}, so that nobody can tell whether it is whole: publish it again"
        )
    if not is_whole(manifest):
        raise DamagedVersionError(
            f"{MANIFEST} in {where} has lines that are no checksum and name: delete this version and publish the model "
            "again"
        )
    for name in sorted(manifest.keys() | digests.keys()):
        problem = None
        if name not in digests:
            problem = "is missing"
        elif name not in manifest:
            problem = "is not in the manifest"
            if name.startswith(_WEIGHTS):
                problem += ", which is that of an export, so the model was copied here and not published"
        elif digests[name] != manifest[name]:
            problem = "is not what was published"
        if problem:
            raise DamagedVersionError(
                f"{name} in {where} {problem}: delete this version and publish the model again"
            )


def check_manifest(directory: str, where: str | None = None) -> None:
    """Compares every file of a version with its manifest; see `check_digests`.

    Args:
        directory: Local directory of the version.
        where: Address of the version for messages; None for the directory.
    """
    digests = {name: file_digest(os.path.join(directory, name)) for name in files_below(directory)}
    check_digests(read_manifest(directory), digests, where or directory)
