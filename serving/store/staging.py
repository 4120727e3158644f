"""Directories in which a version is built aside, and which tell a publisher at work from one that died."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from serving.store.manifest import CHUNK, file_digest, files_below
from trainer.base.full_disk import naming

PREFIX = ".tmp-"
"""TensorFlow Serving looks at children with integer names only, so that it never sees these."""


@contextlib.contextmanager
def staging_directory(base: str) -> Iterator[str]:
    """A new, empty `<base>/.tmp-<id>`, locked while the block runs and removed after it unless it was renamed
    away.

    The lock (flock on the directory itself) ends with the process, however it ends, and it moves with the
    directory when that is renamed: so nothing but a lock that is free tells a leftover from the work of a
    live publisher, whatever machine time or process ids say.
    """
    while True:
        path = os.path.join(base, f"{PREFIX}{uuid.uuid4().hex}")
        os.mkdir(path)
        if (lock := _lock(path)) is not None:
            break  # else a clean-up took the directory before it could be locked: take another
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def remove_leftovers(base: str) -> list[str]:
    """Removes the staging directories of publishers that are dead; returns their paths."""
    removed = []
    for name in os.listdir(base):
        path = os.path.join(base, name)
        if name.startswith(PREFIX) and (lock := _lock(path)) is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
            removed.append(path)
    return removed


@contextlib.contextmanager
def locked_directory(path: str) -> Iterator[None]:
    """Waits for and holds the lock of a directory, so that one process at a time changes what it guards."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def copy_tree(
    source: str, target: str, extra_files: Mapping[str, bytes] = MappingProxyType({}), link: bool = False
) -> dict[str, str]:
    """Copies all files (but a manifest) below `source` into `target`, and syncs each of them and each
    directory.

    Args:
        source: Directory to read.
        target: Existing, empty directory.
        extra_files: Content of further files by their path, in place of the source's where it has them.
        link: Make hard links where the file system can: only for a source whose files never change.

    Returns:
        sha256 of each file by its path relative to `target`.
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
        sync_directory(parent)
    return digests


def write_file(path: str, content: bytes) -> None:
    """Writes a file durably."""
    with naming(path), open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: str) -> None:
    """Makes the names in a directory durable."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _lock(path: str) -> int | None:
    """The open, locked directory; None when another process holds it or it is gone."""
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between open and flock its owner may have renamed or removed it; then the path no longer means this
        # one.
        if os.path.samestat(os.stat(path), os.fstat(directory)):
            return directory
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(directory)
    return None


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
