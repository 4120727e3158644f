"""Says which disk is full, whoever noticed it: Python, TensorFlow, SQLite, or a library that leaves only text."""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

_TEXTS = ("No space left on device", "Disk quota exceeded", "database or disk is full")
"""What the C library says of the two error numbers, and SQLite of the first. TensorFlow, whose class for it is the one
for a lack of memory, has no number."""

_NAMED = (
    # TensorFlow's, in which a device such as _device_/job:localhost may come before.
    re.compile(rf"(?:^|[\s'\"])(?P<path>/[^;'\"\n]+)['\"]?[;:] (?:{'|'.join(_TEXTS)})"),
    re.compile(rf"(?:{'|'.join(_TEXTS)}): ['\"](?P<path>/[^'\"]+)"),
)

_MIB = 2**20


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what caused it or was being handled when it happened, and so on."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def is_full_disk(error: BaseException) -> bool:
    """Whether this one error, its causes left aside, says that a disk or a quota is full."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(text in str(error) for text in _TEXTS)


def full_disk(error: BaseException, places: Mapping[str, str] = MappingProxyType({})) -> str | None:
    """What to do about the full disk behind an error, with the name of the directory that is full.

    Args:
        error: Of any kind; its causes are looked at as well.
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
        name, directory = min(directories.items(), key=lambda place: _free(place[1]))
        return f"make room on the disk that is full, probably that of {_described(name, directory)}"
    holding = [name for name, directory in directories.items() if _holds(directory, path)]
    if not holding:
        directory = path if os.path.isdir(path) else os.path.dirname(path)
        return f"make room on the full disk of {_described(None, directory)}"
    name = max(holding, key=lambda name: len(directories[name]))
    return f"make room on the full disk of {_described(name, directories[name])}"


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Lets an OSError of the block, which for a write has no file's name, carry this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = path
        raise


def _described(name: str | None, directory: str) -> str:
    usage = shutil.disk_usage(_existing(directory))
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
        return os.path.abspath(error.filename)
    found = next(filter(None, (pattern.search(str(error)) for pattern in _NAMED)), None)
    return found["path"] if found else None


def _existing(path: str) -> str:
    """The path itself, or the nearest directory above it that there is."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _free(directory: str) -> int:
    return shutil.disk_usage(_existing(directory)).free


def _holds(directory: str, path: str) -> bool:
    """Whether the path lies in the directory, and not on another disk that is mounted below it."""
    return (
        os.path.commonpath([path, directory]) == directory
        and os.stat(_existing(path)).st_dev == os.stat(_existing(directory)).st_dev
    )
