"""The verb ``yt8m run``, which runs the whole pipeline on this machine."""

import json
import logging
import os
import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.guard import is_verbose
from pipeline.cli.options.recipe_options import Data, Overrides, RecipeName, Train, Validate, chosen_recipe
from pipeline.cli.training.report import write_report_of

if TYPE_CHECKING:
    from pipeline.local.runner import LocalRun
    from pipeline.recipe.recipe import Recipe

_logger = logging.getLogger("yt8m.run")


def run(
    recipe: RecipeName,
    data: Data = None,
    train: Train = None,
    validate: Validate = None,
    overrides: Overrides = None,
    root: Annotated[
        str | None, typer.Option(help="Directory of the run. Default: runs/ and the recipe's name.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Prints the run's report as one JSON document on standard output.")
    ] = False,
) -> None:
    """Runs a recipe's pipeline on this machine, from YT-8M files to a pushed ensemble.

    What an earlier run under the same root has done from the same input is taken from its cache. A run that was
    killed goes on where its training stopped. The last line names the log file with the libraries' messages;
    yt8m -v run shows them.

    \b
    Examples: yt8m run --recipe demo
              yt8m run --recipe video-level --data 'DIRECTORY/*.tfrecord' --set training.steps=1000
    """
    loaded = chosen_recipe(recipe, data, train, validate, overrides)
    finished = run_recipe(loaded, f"runs/{loaded.name}" if root is None else root)
    if as_json:
        typer.echo(json.dumps(finished.report.document(), indent=2))
        _logger.info("log: %s", finished.log_file)
    else:
        typer.echo(summary(finished))


def run_recipe(recipe: "Recipe", root: str) -> "LocalRun":
    """Runs a recipe, after the checks that need no half minute of imports, and leaves `report.html` in the root.

    The lock of the root is held from before TFX is imported. A run that is refused leaves the report of the other one
    alone.
    """
    from pipeline.local.preflight import check_before_run
    from pipeline.local.run_lock import only_run_in
    from trainer.base.addresses import check_local

    check_local(root, "--root")
    check_before_run(recipe, root)
    os.makedirs(root, exist_ok=True)
    with ExitStack() as held:
        held.enter_context(only_run_in(Path(root)))
        _logger.info("recipe %s: %d models; starting TFX (half a minute)", recipe.name, len(recipe.trained))
        from pipeline.local.runner import run_locally

        _logger.info("training curves: %s", tensorboard_command(os.path.join(root, "tensorboard")))
        try:
            return run_locally(recipe, root, is_verbose())
        finally:
            held.close()  # to who holds the lock the report would say that the run is on
            if page := write_report_of(root):
                _logger.info("report: %s", page)


def tensorboard_command(directory: str) -> str:
    """Returns the command that shows the training curves of a run, by variant."""
    return f"tensorboard --logdir {shlex.quote(directory)}"


def summary(finished: "LocalRun") -> str:
    """Returns what a person wants to know of a finished run: the tables, the blessing, and where things are."""
    from components.run_report.tables import render

    places = (
        f"Report: {Path(finished.artifacts).parent / 'report.html'}",
        f"Artifacts: {finished.artifacts}",
        f"Training curves: {tensorboard_command(finished.tensorboard)}",
        f"Log: {finished.log_file}",
    )
    return "\n".join((render(finished.report), "", *places))
