"""The command line ``yt8m`` and its verbs.

A verb's module is imported when the verb is used, so that ``yt8m sizes`` does not wait for TensorFlow.
"""

import os
import re
import sys
from importlib import import_module, metadata
from typing import Annotated, Any

import typer

from pipeline.cli.guard import be_verbose, guarded
from pipeline.cli.verb_group import VerbGroup
from trainer.base.errors import UserError

VERBS = {
    "data": ("pipeline.cli.training.data", "app"),
    "recipes": ("pipeline.cli.training.recipes", "app"),
    "sizes": ("pipeline.cli.training.sizes", "sizes"),
    "run": ("pipeline.cli.training.run", "run"),
    "distill": ("pipeline.cli.training.distill", "distill"),
    "compile": ("pipeline.cli.cluster.compile", "compile_"),
    "rehearse": ("pipeline.cli.cluster.rehearse", "rehearse"),
    "doctor": ("pipeline.cli.cluster.doctor", "doctor"),
    "submit": ("pipeline.cli.cluster.submit", "submit"),
    "schedule": ("pipeline.cli.cluster.schedule", "schedule"),
    "runs": ("pipeline.cli.training.runs", "app"),
    "report": ("pipeline.cli.training.report", "report"),
    "evaluate": ("pipeline.cli.model.evaluate", "evaluate"),
    "serve": ("pipeline.cli.predictions.serve", "serve"),
    "predict": ("pipeline.cli.predictions.predict", "predict"),
    "infer": ("pipeline.cli.predictions.infer", "infer"),
    "monitor": ("pipeline.cli.predictions.monitor", "monitor"),
    "models": ("pipeline.cli.model.models", "app"),
    "compress": ("pipeline.cli.model.compress", "compress"),
    "export": ("pipeline.cli.model.export", "export"),
    "import-checkpoint": ("pipeline.cli.model.import_checkpoint", "import_checkpoint"),
}
"""The module and the function of each verb, or its typer app if it has verbs of its own."""


class _LazyGroup(VerbGroup):
    """A group of commands that are imported when they are asked for."""

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


app = typer.Typer(cls=_LazyGroup, rich_markup_mode=None)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(
            f"yt8m {metadata.version('yt8m')} (TensorFlow {metadata.version('tensorflow')}, "
            f"TFX {metadata.version('tfx')}, Python {sys.version.split()[0]})"
        )
        raise typer.Exit


@app.callback()
def _yt8m(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Shows the libraries' own messages, and full traces.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Prints the versions of yt8m and of what it runs on.",
        ),
    ] = False,
) -> None:
    """Turns YouTube-8M features into a size-constrained ensemble of video models, and serves it.

    The exit code is 0 if all is well, 2 if the input was wrong (a line on standard error says what to do), 130
    after Ctrl-C, and 1 after any other failure.

    Example: yt8m run --recipe demo
    """
    if verbose:
        be_verbose()


def main() -> None:
    """Runs the command line ``yt8m``."""
    arguments = sys.argv[1:] or ["--help"]
    guarded(lambda: _exit_code(app(args=_checked(arguments), prog_name="yt8m", standalone_mode=False)))


def _checked(arguments: list[str]) -> list[str]:
    """Returns the arguments.

    Raises:
        UserError: One begins with a long dash; or is empty, as "$NAME" is in a shell where NAME was never set; or the
            current directory, from which relative paths count, was removed; or a completion is asked for in a shell
            that has none.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("the current directory is not there any more: cd to one that is") from None
    for argument in arguments:
        if word := re.fullmatch(r"[\u2010-\u2015\u2212]+(\w.*)", argument):
            # As web pages and word processors write it.
            raise UserError(
                f"{argument:.100} begins with a long dash: write {'--' if len(word[1]) > 1 else '-'}{word[1]:.100}"
            )
    for before, argument in zip(["yt8m", *arguments], arguments, strict=False):
        if not argument.strip() or re.fullmatch(r"--[a-z-]+=\s*", argument):
            where = f"{argument.strip()} is" if argument.strip() else f"the argument after {before:.100} is"
            raise UserError(
                f"{where} empty (a shell variable that is not set?): give a value, or leave it out"
            )
    _check_shell(arguments)
    return arguments


def _check_shell(arguments: list[str]) -> None:
    """Checks the shell that a completion is asked for: the library leaves with 1, or takes the wrong one.

    Raises:
        UserError: A shell is named, or the one that runs yt8m is none that has a completion.
    """
    asked = next((one for one in arguments if one in ("--install-completion", "--show-completion")), None)
    if asked is None:
        return
    import shellingham  # which typer brings
    from typer.completion import Shells

    if arguments[-1] != asked:
        raise UserError(f"{asked} is for the shell that runs yt8m: leave out {arguments[-1]:.100}")
    try:
        shell, _ = shellingham.detect_shell()
    except shellingham.ShellDetectionFailure:
        shell = "unknown"
    if shell not in [*Shells]:
        raise UserError(f"{asked}: the shell that runs yt8m is {shell}; run it in one of {', '.join(Shells)}")


def _exit_code(result: object) -> int:
    # Without standalone mode the library hands back the code of typer.Exit, or what the verb returned.
    if result == 130:  # what it makes of Ctrl-C
        raise KeyboardInterrupt
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    main()
