"""What every entry point has in common: quiet libraries, and an error that is one line and an exit code."""

import logging
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from typing import NoReturn

import typer

from pipeline.cli.quiet_import import QuietImport
from pipeline.user_errors import error_text
from trainer.base.errors import OutsideError, UserError
from trainer.base.full_disk import full_disk
from trainer.base.garbage import collect_less

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR"}

_verbose = False


def guarded(action: Callable[[], int | None]) -> NoReturn:
    """Runs an action and leaves with its exit code: 2 for wrong input, 1 for another fault, each with a line.

    The full trace goes to a file, and to standard error after `be_verbose`.
    """
    collect_less()
    prepare_logging()
    try:
        code = action()
    except UserError as error:
        _leave(2, str(error))
    except OutsideError as error:
        _leave(1, str(error))
    except BrokenPipeError:
        # The reader (head, for one) has seen enough; the flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (KeyboardInterrupt, typer.Abort):
        _leave(130, "interrupted")
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of the command line library
            _leave(error.exit_code, f"{error.format_message()} (see yt8m --help)")
        if _verbose:
            traceback.print_exc()
        if log_file := getattr(error, "log_file", None):  # the text says what to try
            _leave(1, f"{error} (full trace in {log_file})")
        what = error_text(error)
        if full := full_disk(error):
            _leave(1, f"{what}; {full}")
        try:
            trace = _write_trace(error)
        except OSError as unwritten:
            _leave(1, f"{what} (yt8m -v shows the trace, which could not be written: {unwritten})")
        _leave(1, f"{what} (full trace in {trace}; if it happens again, report it with that file)")
    sys.exit(code or 0)


def prepare_logging() -> None:
    """Our own progress goes to standard error, the libraries' chatter nowhere."""
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
    """Lets the libraries speak again, and shows full traces."""
    global _verbose
    _verbose = True
    for name in _QUIET:
        os.environ.pop(name, None)
    warnings.resetwarnings()
    logging.getLogger().addHandler(logging.StreamHandler())


def is_verbose() -> bool:
    """Whether the user wants to see what the libraries say."""
    return _verbose


def _write_trace(error: BaseException) -> str:
    stamp = time.strftime("%Y%m%d-%H%M%S-")
    with tempfile.NamedTemporaryFile(
        "w", prefix=f"yt8m-{stamp}", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.writelines(traceback.format_exception(error))
    return file.name


def _leave(code: int, message: str) -> NoReturn:
    line = " ".join(message.split())
    sys.stderr.write(f"yt8m: {line if len(line) <= 2000 else line[:2000] + ' ...'}\n")
    sys.exit(code)
