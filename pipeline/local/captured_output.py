"""Sends everything that libraries print, native code included, to a log file while a pipeline runs."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TextIO

from pipeline.local.live_view import LiveView, can_show

_SECONDS_FOR_TEE = 5


@contextmanager
def captured_output(log_file: str, verbose: bool = False) -> Iterator[None]:
    """Sends standard output and standard error to a file, below Python: C++ code and child processes included.

    Only the progress of the logger ``yt8m`` still reaches the original standard error: as lines or, on a terminal, as
    one live view. The file has it, too.

    Args:
        log_file: The path of the file, which is appended to.
        verbose: Whether everything is also written to the original standard error, as lines.
    """
    progress, root = logging.getLogger("yt8m"), logging.getLogger()
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    terminal = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="replace")
    # Those of the root are there when the user wants to see what the libraries say.
    plain = [handler for logger in (progress, root) for handler in logger.handlers if _is_plain(handler)]
    streams = [handler.setStream(terminal) for handler in plain]
    to_file = logging.FileHandler(log_file, encoding="utf-8")
    to_file.setLevel(logging.INFO)
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s", "%H:%M:%S"))
    for logger in (root, progress):
        logger.addHandler(to_file)
    tee = _redirect(log_file, saved[1] if verbose else None)
    try:
        with nullcontext() if verbose else _live(progress, terminal):
            yield
    finally:
        with suppress(
            OSError
        ):  # the disk of the file may be full, and who reads the terminal must get to know it
            sys.stdout.flush()
            sys.stderr.flush()
        for number, copy in enumerate(saved, start=1):
            os.dup2(copy, number)
            os.close(copy)
        _wait_for(tee)
        for logger in (root, progress):
            logger.removeHandler(to_file)
        with suppress(OSError):
            to_file.close()
        for handler, stream in zip(plain, streams, strict=True):
            handler.setStream(stream or sys.stderr)
        terminal.close()


def _is_plain(handler: logging.Handler) -> bool:
    return type(handler) is logging.StreamHandler


def _redirect(log_file: str, also_to: int | None) -> subprocess.Popen[bytes] | None:
    """Redirects the file descriptors 1 and 2 to the file, or to a process that copies to it and to another one."""
    tee = None
    if also_to is None:
        target = os.open(log_file, os.O_WRONLY | os.O_APPEND)
    else:
        # A process of its own, that has copied everything even where this one crashes. Ctrl-C is not for it.
        tee = subprocess.Popen(
            ["tee", "-a", log_file], stdin=subprocess.PIPE, stdout=also_to, start_new_session=True
        )
        target = os.dup(tee.stdin.fileno())
        tee.stdin.close()
    for number in (1, 2):
        os.dup2(target, number)
    os.close(target)
    return tee


def _wait_for(tee: subprocess.Popen[bytes] | None) -> None:
    """Waits until it has copied the rest, but not for ever: a process that was left behind may hold the pipe."""
    if tee is not None:
        with suppress(subprocess.TimeoutExpired):
            tee.wait(_SECONDS_FOR_TEE)


@contextmanager
def _live(progress: logging.Logger, terminal: TextIO) -> Iterator[None]:
    """Replaces the plain lines by a live view, on a terminal that can show one."""
    if not can_show(terminal):
        yield
        return
    plain = [handler for handler in progress.handlers if _is_plain(handler)]
    view = LiveView()
    view.setFormatter(plain[0].formatter if plain else None)
    for handler in plain:
        progress.removeHandler(handler)
    progress.addHandler(view)
    level = progress.level
    progress.setLevel(logging.DEBUG)
    try:
        with view.shown_on(terminal):
            yield
    finally:
        progress.setLevel(level)
        progress.removeHandler(view)
        for handler in plain:
            progress.addHandler(handler)
