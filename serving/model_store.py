"""The versioned directory that TensorFlow Serving and the embedded server read:
`<base>/<version>/saved_model.pb`.

Both serve the version with the largest number. A version appears in one rename and is never changed after
that, so that a reader sees either all of it or nothing. Local directories only; an address with a scheme is
refused.
"""

import errno
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from serving.manifest import check_manifest, manifest_digest, write_manifest
from serving.staging import copy_tree, remove_leftovers, staging_directory, sync_directory, write_file
from trainer.errors import UserError

_NEEDED = ("saved_model.pb", os.path.join("variables", "variables.index"))
"""A version without the second loads as available and fails at its first request, so it must not get out."""

_RETIRED = ".retired-"
"""`.retired-<n>` marks the number of a deleted newest version, which must not come back with other
content."""


@dataclass(frozen=True, kw_only=True)
class Publication:
    """What a publish did.

    Attributes:
        version: The newest version, which holds the content given.
        path: Its directory.
        created: False when the newest version held the very same content already, and nothing was added.
    """

    version: int
    path: str
    created: bool


def local_directory(base: str) -> str:
    """The path, if it is a local one; UserError for an address with a scheme."""
    scheme, found, _ = base.partition("://")
    if found:
        raise UserError(
            f"{base}: model directories with {scheme}:// are not supported. Give a local directory "
            "(one that is mounted will do)"
        )
    return base


def list_versions(base: str) -> list[int]:
    """Versions that hold a SavedModel, ascending; none when the directory does not exist."""
    return [
        number
        for number in _numbers(base)
        if os.path.isfile(os.path.join(base, str(number), "saved_model.pb"))
    ]


def latest_version(base: str) -> int | None:
    """The version that servers serve."""
    return max(list_versions(base), default=None)


def served_version(base: str) -> int:
    """The version that servers serve; UserError when there is none."""
    version = latest_version(local_directory(base))
    if version is None:
        raise UserError(
            f"{base} has no model to serve: it needs a directory <version>/saved_model.pb. "
            "Push one there (yt8m run), or give another directory"
        )
    return version


def version_path(base: str, version: int) -> str:
    """Directory of a version; UserError, with the versions there are, when there is no such one."""
    versions = list_versions(base)
    if version not in versions:
        there = f"it has {', '.join(map(str, versions))}" if versions else "it has no version at all"
        raise UserError(f"{base} has no version {version}: {there}")
    return os.path.join(base, str(version))


def publish(source: str, base: str, extra_files: Mapping[str, bytes] = MappingProxyType({})) -> Publication:
    """Makes a SavedModel directory the newest version of a model.

    It is copied into `<base>/.tmp-<id>`, every file synced, a sha256 manifest written beside it, and then
    renamed to the next integer. A publish that dies at any moment leaves no version, and the next one removes
    what it left. Two publishers at once get a version each. Content equal to the newest version's is not
    added again.

    Args:
        source: Directory with saved_model.pb and variables/.
        base: Directory of the model's versions; made when missing.
        extra_files: Content of further files of the version, by path relative to it.

    Raises:
        UserError: If `source` is not a whole SavedModel, or either address has a scheme.
    """
    return _publish(source, base, link=False, extra_files=extra_files)


def rollback(base: str, to: int) -> Publication:
    """Serves an earlier version again, by publishing its content as a new, newest version.

    Servers take the largest number and are told nothing, so the way back is forward: deleting the bad
    versions would lose what was served when, would end where somebody else publishes meanwhile, and a server
    that once failed to load a number never tries that number again. Going back from 7 to 5 makes 8 with the
    files of 5 (as hard links where possible); another rollback, to 7, undoes it.

    Args:
        base: Directory of the model's versions.
        to: The version whose content is to be served.

    Raises:
        UserError: If there is no such version, or its files are not those in its manifest.
    """
    source = version_path(local_directory(base), to)
    if manifest_digest(source) is not None:
        check_manifest(source)
    return _publish(source, base, link=True)


def delete(base: str, version: int, force: bool = False) -> None:
    """Removes a version; a reader sees it go at once and as a whole.

    Args:
        base: Directory of the model's versions.
        version: To be removed.
        force: Also when it is the newest, the one that servers serve. Its number is not used again.

    Raises:
        UserError: If there is no such version, or it is the newest and `force` is not given.
    """
    path = version_path(local_directory(base), version)
    if version == latest_version(base) and not force:
        raise UserError(
            f"version {version} of {base} is the one being served: roll back to another first, or force it"
        )
    if version == max(_numbers(base)):
        with open(os.path.join(base, f"{_RETIRED}{version}"), "w", encoding="utf-8"):
            pass
    with staging_directory(base) as grave:
        os.rename(path, os.path.join(grave, str(version)))
        sync_directory(base)


def _publish(
    source: str, base: str, link: bool, extra_files: Mapping[str, bytes] = MappingProxyType({})
) -> Publication:
    source, base = local_directory(source), local_directory(base)
    for name in _NEEDED:
        if not os.path.isfile(os.path.join(source, name)):
            raise UserError(
                f"{source} is not a whole SavedModel: it has no {name}. Give the directory of an export"
            )
    os.makedirs(base, exist_ok=True)
    remove_leftovers(base)
    with staging_directory(base) as stage:
        digests = copy_tree(source, stage, link)
        for name, content in extra_files.items():
            digests[name] = write_file(os.path.join(stage, name), content)
        digest = write_manifest(stage, digests)
        sync_directory(stage)
        while True:
            latest = latest_version(base)
            if latest is not None and manifest_digest(os.path.join(base, str(latest))) == digest:
                return Publication(version=latest, path=os.path.join(base, str(latest)), created=False)
            version = max((*_numbers(base), *_numbers(base, _RETIRED)), default=0) + 1
            target = os.path.join(base, str(version))
            try:
                os.rename(stage, target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                continue  # another publisher took the number meanwhile
            sync_directory(base)
            _forget_retired(base, version)
            return Publication(version=version, path=target, created=True)


def _numbers(base: str, prefix: str = "") -> list[int]:
    """The integers n, ascending, for which `<base>/<prefix><n>` exists."""
    if not os.path.isdir(base):
        return []
    tails = (name.removeprefix(prefix) for name in os.listdir(base) if name.startswith(prefix))
    return sorted(int(tail) for tail in tails if tail.isascii() and tail.isdigit() and str(int(tail)) == tail)


def _forget_retired(base: str, newest: int) -> None:
    """Marks below an existing version say nothing any more."""
    for number in _numbers(base, _RETIRED):
        if number < newest:
            path = os.path.join(base, f"{_RETIRED}{number}")
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
