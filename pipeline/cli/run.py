"""``yt8m run``: the whole pipeline on this machine."""

import json
import logging
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.guard import is_verbose
from pipeline.cli.recipe_options import Data, Overrides, RecipeName, Train, Validate, chosen_recipe
from pipeline.cli.report import write_report_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.local_runner import LocalRun
    from pipeline.recipe import Recipe

_logger = logging.getLogger("yt8m.run")


def run(
    recipe: RecipeName,
    data: Data = None,
    train: Train = None,
    validate: Validate = None,
    overrides: Overrides = None,
    root: Annotated[
        str | None, typer.Option(help="Directory of the run's artifacts. Default: runs/<recipe's name>.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The run's report as one JSON document on standard output.")
    ] = False,
) -> None:
    """Runs a recipe's pipeline here, from YT-8M files to a pushed ensemble.

    What an earlier run under the same root has done already, from the same input, is taken from its cache; a
    run that was killed goes on where its training stopped. What the libraries say is in the log file that the last
    line names; yt8m -v run shows it.

    \b
    Examples: yt8m run --recipe demo
              yt8m run --recipe video_level --data 'DIRECTORY/*.tfrecord' --set training.steps=1000
    """
    loaded = chosen_recipe(recipe, data, train, validate, overrides)
    finished = run_recipe(loaded, root or f"runs/{loaded.name}")
    if as_json:
        typer.echo(json.dumps(finished.report, indent=2))
        _logger.info("log: %s", finished.log_file)
    else:
        typer.echo(summary(finished))


def run_recipe(recipe: "Recipe", root: str) -> "LocalRun":
    """Runs a recipe, after the checks that need no half minute of imports; leaves `report.html` in the root."""
    from serving.vocabulary import Vocabulary
    from trainer.errors import UserError

    if recipe.beam.runner == "DataflowRunner":
        raise UserError(
            "beam.runner: yt8m run keeps artifacts on this machine, which Dataflow's workers do not see; use "
            "yt8m compile, or --set beam.runner=DirectRunner"
        )
    recipe.beam.pipeline_args  # noqa: B018 (says what is missing)
    if recipe.data.vocabulary:
        Vocabulary.load(recipe.data.vocabulary)  # bad news now, and not after days of training
    _check_files((*recipe.data.train, *recipe.data.validate_), recipe.data.max_lost_files)
    _logger.info("recipe %s: %d variants; starting TFX (half a minute)", recipe.name, len(recipe.variants))
    from pipeline.local_runner import run_locally

    _logger.info("training curves: %s", tensorboard_command(os.path.join(root, "tensorboard")))
    try:
        return run_locally(recipe, root, is_verbose())
    finally:
        if page := write_report_of(root):
            _logger.info("report: %s", page)


def _check_files(patterns: "Sequence[str]", max_lost_files: int) -> None:
    """UserError where a pattern matches no file, or where the sizes of files alone say that too many are lost."""
    from trainer.errors import UserError
    from trainer.files import expand, expand_labelled, file_size, is_local

    for pattern in patterns:
        expand([re.sub(r"\{[A-Z]+(:\d+)?\}", "*", pattern)])
    # Of a pattern with a span only the newest is read. A bucket is not asked for the sizes one by one.
    files, _ = expand_labelled(pattern for pattern in patterns if "{" not in pattern)
    empty = [path for path in files if is_local(path) and not file_size(path)]
    if len(empty) > max_lost_files:
        raise UserError(
            f"{len(empty)} data file(s) have no bytes, more than the {max_lost_files} lost files allowed: "
            f"{', '.join(empty[:3])}{' ...' if len(empty) > 3 else ''}; fetch them again, remove them, or raise "
            "data.max_lost_files"
        )


def tensorboard_command(directory: str) -> str:
    """What shows the curves of a run, by variant."""
    return f"tensorboard --logdir {shlex.quote(directory)}"


def summary(finished: "LocalRun") -> str:
    """What a person wants to know of a finished run: the tables, the blessing, and where things lie."""
    from components.run_report.tables import render

    places = (
        f"Report: {Path(finished.artifacts).parent / 'report.html'}",
        f"Artifacts: {finished.artifacts}",
        f"Training curves: {tensorboard_command(finished.tensorboard)}",
        f"Log: {finished.log_file}",
    )
    return "\n".join((render(finished.report), "", *places))
