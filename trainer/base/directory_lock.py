"""Locks of local directories, which end with the process that holds them, however that ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from trainer.base.errors import UserError
from trainer.base.files import is_local


def lock_directory(path: str) -> int | None:
    """Locks a directory, by flock on the directory itself: the lock moves with it when it is renamed.

    Returns:
        The descriptor, to be closed by `os.close`; None when another process holds the lock or the directory is gone.
    """
    try:
        directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between open and flock its owner may have renamed or removed it; then the path means another directory.
        if os.path.samestat(os.stat(path), os.fstat(directory)):
            return directory
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(directory)
    return None


@contextlib.contextmanager
def locked_directory(path: str) -> Iterator[None]:
    """Waits for the lock of a directory and holds it during the block: one process at a time changes its content."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


@contextlib.contextmanager
def only_writer(directory: str, output: str) -> Iterator[None]:
    """Holds the lock of a directory during the block, or refuses at once; one in a bucket has none.

    Args:
        directory: A directory that is there.
        output: What is written with its help, for the message.

    Raises:
        UserError: Another process holds the lock.
    """
    if not is_local(directory):
        yield
        return
    if (lock := lock_directory(directory)) is None:
        raise UserError(f"another process is writing {output}: wait until it has ended, or give another path")
    try:
        yield
    finally:
        os.close(lock)
