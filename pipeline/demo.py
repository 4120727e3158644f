"""``make demo``: from nothing to an answer of a served ensemble.

Writes a synthetic sample, runs the recipe ``demo`` on it, serves what it pushed, and asks that server for the classes
of a video of the evaluation split.
"""

import logging
import os
import time

import typer

from pipeline.cli.main import guarded
from pipeline.cli.run import run_recipe, summary
from pipeline.recipe import Recipe
from pipeline.recipe_loader import load_recipe

DATA = "demo/data"
ROOT = "demo/run"

_logger = logging.getLogger("yt8m.demo")


def demo() -> None:
    """Runs the demo and prints what came out."""
    started = time.monotonic()
    recipe = load_recipe("demo")
    if not os.path.exists(os.path.join(DATA, "_COMPLETE")):
        _write_sample()
    finished = run_recipe(recipe, ROOT)
    answer = _ask_served_model(recipe, finished.examples)
    typer.echo(f"{answer}\n\n{summary(finished)}\nDemo took {time.monotonic() - started:.0f} s")
