"""Says which disk is full, whoever noticed it: Python, TensorFlow, SQLite, or a library that leaves only text."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from trainer.base.directories import nearest_existing
from trainer.base.errors import UserError

_TEXTS = ("No space left on device", "Disk quota exceeded", "database or disk is full")
"""Texts of the C library for the two error numbers, and of SQLite for the first. An error of TensorFlow has no number,
and its class is that of a lack of memory."""

_NAMED = (
    # TensorFlow's, in which a device such as _device_/job:localhost may come before; a relative path only behind it.
    re.compile(rf"(?:^|[\s'\"])(?P<path>/[^;'\"\n]+)['\"]?[;:] (?:{'|'.join(_TEXTS)})"),
    re.compile(rf"\}}\}} (?P<path>[^;\n]+); (?:{'|'.join(_TEXTS)})"),
    re.compile(rf"(?:{'|'.join(_TEXTS)}): ['\"](?P<path>/[^'\"]+)"),
)

_MIB = 2**20


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yields the error, then the error that caused it or was being handled when it was raised, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def is_full_disk(error: BaseException) -> bool:
    """Whether this error says that a disk or a quota is full. Its causes are not looked at."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(text in str(error) for text in _TEXTS)


def full_disk(error: BaseException, places: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """Says what to do about the full disk behind an error, and which directory is full.

    Args:
        error: An error of any kind; its causes are looked at as well.
        places: Directories that the user chose, by the name of the option or setting that each is chosen by, such as
            `--root`. TMPDIR is always among them.

    Returns:
        One sentence without a full stop; None where no disk is full.
    """
    full = [one for one in causes(error) if is_full_disk(one)]
    if not full:
        return None
    directories = {name: os.path.abspath(path) for name, path in places.items() if path and "://" not in path}
    directories["TMPDIR"] = _temporary_directory()
    path = next(filter(None, map(_path_of, full)), None)
    if path is None:
        # The file is not known, and may be gone by now: the one with the least room is the best guess.
        candidates = [*directories.items(), *([] if places else [(None, os.getcwd())])]
        name, directory = min(candidates, key=lambda place: _free(place[1]))
        return f"make room on the disk that is full, probably that of {_described(name, directory)}"
    holding = [name for name, directory in directories.items() if _holds(directory, path)]
    if not holding:
        directory = path if os.path.isdir(path) else os.path.dirname(path)
        return f"make room on the full disk of {_described(None, directory)}"
    name = max(holding, key=lambda name: len(directories[name]))
    return f"make room on the full disk of {_described(name, directories[name])}"


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Adds the path to an OSError of the block that names no file, as errors of writes do not."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:  # with a text alone, the text would be lost
            error.filename = path
        raise


@contextmanager
def chosen_by(option: str, path: str) -> Iterator[None]:
    """Turns a full disk in the block into the line that says which option chose that disk.

    Args:
        option: The option or argument that names the path.
        path: What the block writes: a file or a directory, which need not exist yet.

    Raises:
        UserError: The disk of the path is full, or that of TMPDIR.
    """
    try:
        yield
    except Exception as error:
        place = path if "://" in path or os.path.isdir(path) else os.path.dirname(os.path.realpath(path))
        if full := full_disk(error, {option: place}):
            raise UserError(f"no space left on a disk: {full}") from error
        raise


def _described(name: str | None, directory: str) -> str:
    usage = shutil.disk_usage(nearest_existing(directory))
    room = f"{usage.free / _MIB:.0f} of {usage.total / _MIB:.0f} MiB free now"
    where = f"{name} ({directory}, {room}), or choose another {name}" if name else f"{directory} ({room})"
    return f"{where}; then give the same command again"


def _temporary_directory() -> str:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:  # none that can be written to: full as well
        return os.environ.get("TMPDIR", "/tmp")


def _path_of(error: BaseException) -> str | None:
    if isinstance(error, OSError) and isinstance(error.filename, str):
        return os.path.realpath(error.filename)
    found = next(filter(None, (pattern.search(str(error)) for pattern in _NAMED)), None)
    return os.path.realpath(found["path"]) if found else None


def _free(directory: str) -> int:
    return shutil.disk_usage(nearest_existing(directory)).free


def _holds(directory: str, path: str) -> bool:
    """Whether the path lies in the directory, and not on another disk that is mounted below it."""
    return (
        os.path.commonpath([path, os.path.realpath(directory)]) == os.path.realpath(directory)
        and os.stat(nearest_existing(path)).st_dev == os.stat(nearest_existing(directory)).st_dev
    )
