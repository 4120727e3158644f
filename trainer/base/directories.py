"""Checks of a local directory before anything is written to it."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from trainer.base.addresses import address_fault, check_address
from trainer.base.errors import UserError
from trainer.base.units import MIB


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
    if fault := address_fault(directory):
        return f"{directory} is no path: {fault}"
    there = nearest_existing(directory)
    if not there.is_dir():
        return f"{there} is a file and no directory"
    path = Path(directory).absolute()
    missing = [one for one in (path, *path.parents) if not one.exists()]
    if links := [one for one in missing if one.is_symlink()]:
        return _nowhere(links[0])
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


def check_file(path: str, what: str) -> None:
    """Checks that a local file can be written; where a link stands, the file that it leads to.

    Args:
        path: The file. Its directory need not exist.
        what: The option that names it, for the message.

    Raises:
        UserError: A directory is there, or a link that leads nowhere, or nothing can be written to its directory.
    """
    check_address(path, what)
    if os.path.isdir(path):
        raise UserError(f"{what} {path} is a directory: give the path of a file")
    target = os.path.realpath(path)
    # The real path of a link that leads back to itself is a link.
    if os.path.islink(target) or (os.path.islink(path) and not os.path.isdir(os.path.dirname(target))):
        raise UserError(f"{what}: {_nowhere(Path(path))}; mend or remove it")
    if problem := write_problem(os.path.dirname(target)):
        raise UserError(f"{what}: {problem}; give another place")


def check_replaced(path: str, what: str, begin: bytes, kind: str) -> None:
    """Checks that a local file that is going to be replaced is of the kind that takes its place.

    Args:
        path: The file, which need not exist. An empty one may be replaced.
        what: The option that names it, for the message.
        begin: What files of the kind begin with.
        kind: The kind in words, for the message.

    Raises:
        UserError: Another file is there, such as the input of the command.
    """
    if not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        if file.read(len(begin)) not in (b"", begin):
            raise UserError(
                f"{what} {path} is there and is no {kind}: name another file, or move that one away"
            )


def check_new(directory: str, what: str) -> None:
    """Raises UserError if a local directory exists already or cannot be made; `what` is the option that names it."""
    if os.path.exists(directory):
        raise UserError(f"{what} {directory} exists already: give a new directory, or remove this one")
    if problem := write_problem(directory):
        raise UserError(f"{what}: {problem}; give another directory")


def check_room(path: str, what: str, size: int) -> None:
    """Checks that the disk of a local path has room for what is going to be written there.

    Args:
        path: The file or directory, which need not exist.
        what: The option that names it, for the message.
        size: The least number of bytes that are written.

    Raises:
        UserError: Fewer bytes are free.
    """
    free = shutil.disk_usage(nearest_existing(path)).free
    if size > free:
        raise UserError(
            f"{what} {path}: at least {size / MIB:,.1f} MiB are written there, and {free / MIB:,.1f} MiB are free: "
            f"make room, or give another {what}"
        )


def _nowhere(link: Path) -> str:
    return f"{link} is a link to {os.readlink(link)}, which leads nowhere"
