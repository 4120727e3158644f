"""The demo, ``make demo``: it starts from nothing and ends with an answer of a served ensemble.

It writes a synthetic sample, runs the recipe ``demo`` on it, serves what it pushed, and asks that server for the
classes of a video of the evaluation split.
"""

import logging
import os
import shutil
import time

import typer

from pipeline.cli.guard import guarded
from pipeline.cli.training.run import run_recipe, summary
from pipeline.local.preflight import SAMPLE
from pipeline.recipe.loader import load_recipe
from pipeline.recipe.recipe import Recipe
from serving.store.model_store import latest_version
from trainer.base.errors import UserError

ROOT = "runs/demo"

_logger = logging.getLogger("yt8m.demo")


def demo() -> None:
    """Runs the demo and prints what came out of it."""
    started = time.monotonic()
    recipe = load_recipe("demo")
    if not os.path.isdir(SAMPLE):
        _write_sample()
    finished = run_recipe(recipe, ROOT)
    if latest_version(recipe.push.directory) is None:
        typer.echo(summary(finished))
        raise UserError("the demo pushed no model: the reasons stand above")
    (examples,) = finished.outputs["YouTube8MExampleGen"].uris["examples"]
    answer = _ask_server(recipe, os.path.join(examples, "Split-eval"))
    _logger.info("demo: done in %.0f s", time.monotonic() - started)
    serve = f"Serve it: .venv/bin/yt8m serve {recipe.push.directory}"
    typer.echo(f"{answer}\n{serve}\n\n{summary(finished)}")


def _write_sample() -> None:
    from trainer.data.sample import write_sample

    _logger.info("demo: writing a synthetic sample to %s", SAMPLE)
    # Renamed when it is whole: an interrupted demo starts over, and does not train on half a sample.
    staged = f"{SAMPLE}.tmp"
    shutil.rmtree(staged, ignore_errors=True)
    write_sample(staged)
    os.rename(staged, SAMPLE)


def _ask_server(recipe: Recipe, eval_directory: str) -> str:
    """Serves the newest pushed version and asks it about the first video of the eval split."""
    from serving.client.client import PredictClient
    from serving.server.server import PredictionServer
    from trainer.base.files import expand
    from trainer.data.manifest import example_files
    from trainer.data.records import Video, read_videos

    first = example_files(expand([os.path.join(eval_directory, "*")]))[0]
    video = next((item for item in read_videos(first) if isinstance(item, Video)), None)
    if video is None:
        raise UserError(f"{first} has no video to ask the server about; remove {ROOT} and run the demo again")
    name = recipe.serving.model_name
    with (
        PredictionServer(recipe.push.directory, model_name=name, port=0) as server,
        PredictClient(f"localhost:{server.port}", model_name=name) as client,
    ):
        _logger.info("demo: serving %s on port %d", recipe.push.directory, server.port)
        classes, scores = client.predict([video.sequence_example])
    lines = [
        f"Video {video.id.decode(errors='replace')} of the eval split, as the server on port {server.port} "
        f"answers (* is one of its {len(video.labels)} labels):"
    ]
    for label, score in zip(classes[0].tolist(), scores[0].tolist(), strict=True):
        lines.append(f"  {'*' if label in video.labels else ' '} class {label:>4}  {score:.4f}")
    return "\n".join(lines)


if __name__ == "__main__":
    guarded(demo)
