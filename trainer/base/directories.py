"""Checks of a local directory before anything is written to it."""

import contextlib
import os
import tempfile
from pathlib import Path

from trainer.base.errors import UserError


def nearest_existing(directory: str) -> Path:
    """Returns the path itself or, where nothing exists there, the nearest directory above it that does."""
    path = Path(directory).absolute()
    while not path.exists():
        path = path.parent
    return path


def write_problem(directory: str) -> str | None:
    """Tries to write a file into a directory, which need not exist; leaves neither a file nor a directory behind.

    It tries, since permissions do not tell: the superuser has all of them, and a read-only or virtual file system
    takes nothing from anybody.

    Returns:
        Why nothing can be written there, as a sentence of its own; None where it can.
    """
    there = nearest_existing(directory)
    if not there.is_dir():
        return f"{there} is a file and no directory"
    path = Path(directory).absolute()
    missing = [one for one in (path, *path.parents) if not one.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path, prefix=".writable-"):
            pass
    except OSError as error:
        return f"{path} cannot be written to ({os.strerror(error.errno) if error.errno else error})"
    finally:
        with contextlib.suppress(OSError):  # somebody else has put something there meanwhile
            for made in missing:
                made.rmdir()
    return None


def check_new(directory: str, what: str) -> None:
    """Raises UserError if a local directory exists already or cannot be made; `what` is the option that names it."""
    if os.path.exists(directory):
        raise UserError(f"{what} {directory} exists already: give a new directory, or remove this one")
    if problem := write_problem(directory):
        raise UserError(f"{what}: {problem}; give another directory")
