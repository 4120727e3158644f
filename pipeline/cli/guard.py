"""What every entry point has in common: quiet libraries, and errors of one line with an exit code."""

import errno
import logging
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from typing import NoReturn, TextIO

import typer

from pipeline.cli.quiet_import import QuietImport
from pipeline.cli.usage import usage_text, verb_of
from pipeline.user_errors import error_text, unreached_bucket
from trainer.base.errors import OutsideError, UserError
from trainer.base.full_disk import full_disk
from trainer.base.garbage import collect_less

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "NONE", "PYTHONWARNINGS": "ignore"}
"""For this process and those that it starts."""

_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What the system says of files and directories that this user may not read or write."""

_OF_ANOTHER_KIND = (errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""What the system says of a directory in a file's place, a file in a directory's, and paths that cannot be."""

_verbose = False


def guarded(action: Callable[[], int | None]) -> NoReturn:
    """Runs an action and leaves with its exit code: 2 for wrong input, 1 for another fault, each with a line.

    The full trace goes to a file and, after `be_verbose`, also to standard error.
    """
    collect_less()
    _open_closed_streams()
    prepare_logging()
    try:
        code = action()
    except UserError as error:
        _leave(2, str(error))
    except OutsideError as error:
        _leave(1, str(error))
    except BrokenPipeError:
        # The reader (head, for one) has seen enough.
        _silence(sys.stdout)
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        _leave(130, "interrupted")
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of the command line library
            _leave(error.exit_code, f"{usage_text(error)} (see {verb_of(error)} --help)")
        if isinstance(error, OSError) and _is_of_output(error):
            _silence(sys.stdout)
            _leave(1, f"standard output cannot be written: {error.strerror}; send it to another place")
        if isinstance(error, OSError) and error.filename and error.errno in _FORBIDDEN:
            place = f"{os.fsdecode(error.filename)}: {error.strerror}"
            _leave(2, f"{place}; give this user the right to it, or name another place")
        if isinstance(error, OSError) and error.filename and error.errno in _OF_ANOTHER_KIND:
            _leave(
                2, f"{os.fsdecode(error.filename)}: {error.strerror}; put that right, or name another place"
            )
        if _verbose:
            traceback.print_exc()
        if log_file := getattr(error, "log_file", None):  # the text says what to try
            _leave(1, f"{error} (full trace in {log_file})")
        what = error_text(error)
        if unreached := unreached_bucket(what):
            _leave(2, unreached)
        if full := full_disk(error):
            _leave(1, f"{what}; {full}")
        try:
            trace = _write_trace(error)
        except OSError as unwritten:
            _leave(1, f"{what} (yt8m -v shows the trace, which could not be written: {unwritten})")
        _leave(1, f"{what} (full trace in {trace}; if it happens again, report it with that file)")
    sys.exit(code or 0)


def prepare_logging() -> None:
    """Sends our own progress to standard error, and the libraries' messages nowhere."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    QuietImport("tensorflow", is_verbose).install()
    warnings.simplefilter("ignore")
    # A handler on the root keeps absl and TensorFlow from adding handlers of their own.
    logging.getLogger().addHandler(logging.NullHandler())
    progress = logging.getLogger("yt8m")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    progress.handlers = [handler]
    progress.setLevel(logging.INFO)
    progress.propagate = False


def be_verbose() -> None:
    """Shows the libraries' messages again, and full traces."""
    global _verbose
    _verbose = True
    for name in _QUIET:
        os.environ.pop(name, None)
    warnings.resetwarnings()
    logging.getLogger().addHandler(logging.StreamHandler())


def is_verbose() -> bool:
    """Returns whether the user wants to see the libraries' messages."""
    return _verbose


def _open_closed_streams() -> None:
    """Puts the null device in place of standard streams that are closed (2>&-).

    The next file that is opened would take a closed one's number, and messages would be written into that file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - stays open


def _is_of_output(error: OSError) -> bool:
    """Returns whether an error, which names no file, is of a write to standard output: all verbs print by one call."""
    last = [*traceback.walk_tb(error.__traceback__)][-1][0]
    return last.f_code is typer.echo.__code__


def _silence(stream: TextIO) -> None:
    """Sends what is left of a stream nowhere: the flush at exit would complain, and change the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _write_trace(error: BaseException) -> str:
    stamp = time.strftime("%Y%m%d-%H%M%S-")
    with tempfile.NamedTemporaryFile(
        "w", prefix=f"yt8m-{stamp}", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.writelines(traceback.format_exception(error))
    return file.name


def _leave(code: int, message: str) -> NoReturn:
    line = " ".join(message.split())
    try:
        sys.stderr.write(f"yt8m: {line if len(line) <= 2000 else line[:2000] + ' ...'}\n")
    except OSError:  # the exit code still tells
        _silence(sys.stderr)
    sys.exit(code)
