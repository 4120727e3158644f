"""The lock of a directory of runs: one run at a time writes there. TFX is not imported."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.base.errors import UserError

_LOCK = "lock"


@contextmanager
def only_run_in(base: Path) -> Iterator[None]:
    """Holds the lock of a directory while the block runs; UserError when another run holds it."""
    with open(base / _LOCK, "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _in_use(base) from None
        yield


def is_in_use(base: Path) -> bool:
    """Whether a run holds the directory's lock; the one of a run that was killed is free."""
    try:
        with open(base / _LOCK, encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    return False


def check_free(base: Path) -> None:
    """UserError when another run is using the directory, which need not exist."""
    if is_in_use(base):
        raise _in_use(base)


def _in_use(base: Path) -> UserError:
    return UserError(
        f"{base}: another run is using this directory; wait for it, or give this one its own --root"
    )
