"""The verb ``yt8m compile``, which compiles a recipe's pipeline for Kubeflow Pipelines."""

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options.recipe_options import Data, Overrides, RecipeName, Train, Validate, chosen_recipe
from pipeline.cli.output import AsJson

if TYPE_CHECKING:
    from pipeline.recipe.recipe import Recipe

_logger = logging.getLogger("yt8m.compile")


def compile_(
    recipe: RecipeName,
    image: Annotated[
        str, typer.Option(help="Image of all steps, built from the Dockerfile, with its tag or digest.")
    ],
    pipeline_root: Annotated[str, typer.Option(help="gs:// directory of the artifacts of all runs.")],
    out: Annotated[str, typer.Option(help="Path of the YAML file to write.")],
    data: Data = None,
    train: Train = None,
    validate: Validate = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Compiles a recipe's pipeline, the same that yt8m run runs, for open-source Kubeflow Pipelines.

    The file has two documents, the pipeline and its Kubernetes settings. What the cluster would refuse is refused
    here, with the reason. Pods must be able to read the files: give addresses gs://, or paths below a volume of
    kubernetes.volumes. Relative paths are possible if the current directory is on such a volume.

    \b
    Example: yt8m compile --recipe yhls --image REGISTRY/yt8m:1.0 --pipeline-root gs://BUCKET/root --out yhls.yaml \\
               --train 'gs://BUCKET/frame/train*.tfrecord' --validate 'gs://BUCKET/frame/validate*.tfrecord' \\
               --set push.directory=gs://BUCKET/models/yt8m
    """
    from pipeline.kubeflow.checks import check_gpus, check_places
    from trainer.base.directories import check_file, check_replaced
    from trainer.base.errors import UserError
    from trainer.base.full_disk import chosen_by
    from trainer.base.whole import whole_file

    if not out.endswith((".yaml", ".yml")):
        raise UserError(f"--out must end in .yaml: the cluster takes no other kind. Received: {out!r}")
    if not os.path.isdir(os.path.dirname(os.path.abspath(out))):
        raise UserError(f"--out {out}: there is no such directory; make it first")
    check_file(out, "--out")
    check_replaced(out, "--out", b"components:", "compiled pipeline")
    loaded = with_mounted_paths(chosen_recipe(recipe, data, train, validate, overrides))
    # Before the half minute of imports.
    check_places(loaded, image, pipeline_root)
    check_gpus(loaded)
    _logger.info("recipe %s: %d models; starting TFX (half a minute)", loaded.name, len(loaded.trained))
    from pipeline.kubeflow.compile import compile_pipeline
    from pipeline.kubeflow.spec_edits import all_tasks

    compiled = compile_pipeline(loaded, image, pipeline_root)
    text = compiled.to_yaml()
    with chosen_by("--out", out), whole_file(out) as unfinished:
        Path(unfinished).write_text(text, encoding="utf-8")
    tasks = len(all_tasks(compiled.spec))
    result = {"file": out, "pipeline": loaded.name, "tasks": tasks, "bytes": len(text.encode())}
    typer.echo(json.dumps(result, indent=2) if as_json else f"{out}: pipeline {loaded.name}, {tasks} tasks")


def with_mounted_paths(recipe: "Recipe") -> "Recipe":
    """Makes relative paths absolute if the current directory is on a volume that pods see at the same path."""
    here = f"{os.getcwd()}/"
    if any(here.startswith(f"{path.rstrip('/')}/") for path in recipe.kubernetes.volumes.values()):
        return recipe.with_absolute_paths()
    return recipe
