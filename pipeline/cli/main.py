"""The command line ``yt8m``: which verbs there are, and what an error looks like.

A verb's module is imported when the verb is used, so that ``yt8m sizes`` does not wait for TensorFlow.
"""

import logging
import os
import sys
import tempfile
import time
import traceback
import warnings
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from trainer.errors import UserError

VERBS = {
    "data": ("pipeline.cli.data", "app"),
    "sizes": ("pipeline.cli.sizes", "sizes"),
    "run": ("pipeline.cli.run", "run"),
    "evaluate": ("pipeline.cli.evaluate", "evaluate"),
    "serve": ("pipeline.cli.serve", "serve"),
    "predict": ("pipeline.cli.predict", "predict"),
    "models": ("pipeline.cli.models", "models"),
    "import-checkpoint": ("pipeline.cli.import_checkpoint", "import_checkpoint"),
}
"""Verb: module and name of its function, or of its typer app where it has verbs of its own."""


class _LazyGroup(TyperGroup):
    """A group whose commands are imported when asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        module, attribute = VERBS[cmd_name]
        target = getattr(import_module(module), attribute)
        if not isinstance(target, typer.Typer):
            function, target = target, typer.Typer(add_completion=False, rich_markup_mode=None)
            target.command(cmd_name)(function)
        return typer.main.get_command(target)


app = typer.Typer(cls=_LazyGroup, add_completion=False, rich_markup_mode=None)


@app.callback()
def _yt8m() -> None:
    """YouTube-8M features in, a size-constrained, served ensemble of Gated NetVLAD models out.

    Exit codes: 0 fine; 2 the input was wrong (one line on standard error says what to do); 1 anything else.
    Set YT8M_VERBOSE=1 to see the libraries' own messages and full traces.

    Example: yt8m run --recipe demo
    """


def main() -> None:
    """The entry point: runs the verb and turns what goes wrong into one line and an exit code."""
    verbose = bool(os.environ.get("YT8M_VERBOSE"))
    prepare_logging(verbose)
    try:
        code = app(args=sys.argv[1:] or ["--help"], prog_name="yt8m", standalone_mode=False)
    except UserError as error:
        _leave(2, str(error))
    except BrokenPipeError:
        # The reader (head, for one) has seen enough; a flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if hasattr(error, "format_message"):  # a usage error of the command line library
            _leave(error.exit_code, f"{error.format_message()} (see yt8m --help)")
        if isinstance(error, (typer.Abort, KeyboardInterrupt)):
            _leave(130, "interrupted")
        if verbose:
            traceback.print_exc()
        trace = getattr(error, "log_file", None) or _write_trace(error)
        _leave(1, f"{type(error).__name__}: {error} (full trace in {trace})")
    sys.exit(code if isinstance(code, int) else 0)


def prepare_logging(verbose: bool = False) -> None:
    """Our own progress goes to standard error; the libraries' chatter goes nowhere unless verbose."""
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        warnings.simplefilter("ignore")
    # A handler on the root keeps absl and TensorFlow from adding handlers of their own.
    logging.getLogger().addHandler(logging.StreamHandler() if verbose else logging.NullHandler())
    progress = logging.getLogger("yt8m")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    progress.handlers = [handler]
    progress.setLevel(logging.INFO)
    progress.propagate = False


def _write_trace(error: BaseException) -> str:
    stamp = time.strftime("%Y%m%d-%H%M%S-")
    with tempfile.NamedTemporaryFile(
        "w", prefix=f"yt8m-{stamp}", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.writelines(traceback.format_exception(error))
    return file.name


def _leave(code: int, message: str) -> None:
    sys.stderr.write(f"yt8m: {' '.join(message.split())}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
