"""Everything that libraries print, natively too, goes to a log file while a pipeline runs."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def captured_output(log_file: str) -> Iterator[None]:
    """Sends standard output and error to a file, below Python: C++ code and child processes included.

    Only the progress of the logger ``yt8m`` still reaches the standard error that was; the file has it too.

    Args:
        log_file: Is appended to.
    """
    progress = logging.getLogger("yt8m")
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    terminal = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="replace")
    to_terminal = [handler for handler in progress.handlers if type(handler) is logging.StreamHandler]
    streams = [handler.setStream(terminal) for handler in to_terminal]
    to_file = logging.FileHandler(log_file, encoding="utf-8")
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s", "%H:%M:%S"))
    for logger in (logging.getLogger(), progress):
        logger.addHandler(to_file)
    target = os.open(log_file, os.O_WRONLY | os.O_APPEND)
    for number in (1, 2):
        os.dup2(target, number)
    os.close(target)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in enumerate(saved, start=1):
            os.dup2(copy, number)
            os.close(copy)
        for logger in (logging.getLogger(), progress):
            logger.removeHandler(to_file)
        to_file.close()
        for handler, stream in zip(to_terminal, streams, strict=True):
            handler.setStream(stream or sys.stderr)
        terminal.close()
