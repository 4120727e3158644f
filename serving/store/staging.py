"""Staging directories, in which a version is built, and whose locks tell a live publisher from a dead one."""

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from serving.store.manifest import CHUNK, file_digest, files_below
from trainer.base.directory_lock import lock_directory
from trainer.base.files import sync_path
from trainer.base.full_disk import naming

PREFIX = ".tmp-"
"""Beginning of the names of staging directories. TensorFlow Serving looks at directories with integer names only."""


@contextlib.contextmanager
def staging_directory(base: str) -> Iterator[str]:
    """Makes an empty `<base>/.tmp-<id>`, which is locked while the block runs and then removed, unless it was renamed.

    The lock ends with the process and moves with the directory when that is renamed. So a directory whose lock is free
    was left by a dead publisher; clocks and process ids are not needed to tell.
    """
    while True:
        path = os.path.join(base, f"{PREFIX}{uuid.uuid4().hex}")
        os.mkdir(path)
        if (lock := lock_directory(path)) is not None:
            break  # else a clean-up took the directory before it could be locked: take another
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def remove_leftovers(base: str) -> None:
    """Removes the staging directories that dead publishers left."""
    for name in os.listdir(base):
        path = os.path.join(base, name)
        if name.startswith(PREFIX) and (lock := lock_directory(path)) is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)


def copy_tree(
    source: str, target: str, extra_files: Mapping[str, bytes] = MappingProxyType({}), link: bool = False
) -> dict[str, str]:
    """Copies all files below a directory but its manifest, and syncs all files and directories to the disk.

    Args:
        source: Directory to copy.
        target: Existing, empty directory.
        extra_files: Content of further files by their path; they replace files of `source`.
        link: Whether to make hard links where the file system can. Only for a source whose files never change.

    Returns:
        The sha256 of each file by its path relative to `target`.
    """
    digests = {}
    for name in {*files_below(source), *extra_files}:
        origin, copy = os.path.join(source, name), os.path.join(target, name)
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        if name in extra_files:
            write_file(copy, extra_files[name])
            digests[name] = hashlib.sha256(extra_files[name]).hexdigest()
        else:
            digests[name] = _link(origin, copy) if link else _copy(origin, copy)
    for parent, _, _ in os.walk(target):
        sync_path(parent)
    return digests


def write_file(path: str, content: bytes) -> None:
    """Writes a file and syncs it to the disk."""
    with naming(path), open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _copy(origin: str, copy: str) -> str:
    digest = hashlib.sha256()
    with naming(copy), open(origin, "rb") as reader, open(copy, "wb") as writer:
        while chunk := reader.read(CHUNK):
            digest.update(chunk)
            writer.write(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest()


def _link(origin: str, copy: str) -> str:
    try:
        os.link(os.path.realpath(origin), copy)
    except OSError:  # another file system, or one without hard links
        return _copy(origin, copy)
    return file_digest(copy)
