"""The verb ``yt8m distill``, which trains a small model towards what a larger one says."""

import json
import logging
import posixpath
from typing import Annotated

import typer

from pipeline.cli.options.recipe_options import Overrides
from pipeline.cli.output import AsJson
from pipeline.cli.training.run import run_recipe, summary
from trainer.base.errors import UserError

_logger = logging.getLogger("yt8m.distill")

_DECIDED = {"variants": "--variant", "students": "--variant", "teacher.directory": "--teacher"}
"""Keys of a recipe that options of this verb decide."""


def distill(
    teacher: Annotated[
        str,
        typer.Option(
            help="Directory of a SavedModel of this project, single or an ensemble, or of versions of one."
        ),
    ],
    variant: Annotated[str, typer.Option(help="Architecture of the student, such as K8-H256.")],
    data: Annotated[
        list[str],
        typer.Option(help="Pattern of files with labels, which are split as in yt8m run. May be repeated."),
    ],
    recipe: Annotated[
        str,
        typer.Option(
            help="Name or path of the recipe whose other sections count: training, averaging, data, compression, beam. "
            "video-level for video-level files."
        ),
    ] = "yhls",
    overrides: Overrides = None,
    out: Annotated[
        str | None,
        typer.Option(help="Directory that versions of the student are pushed to. Default: models/NAME."),
    ] = None,
    root: Annotated[str | None, typer.Option(help="Directory of the run. Default: runs/NAME.")] = None,
    as_json: AsJson = False,
) -> None:
    """Trains a small model towards its labels and what a teacher says, and pushes it as a served model.

    The teacher scores the train split once or, where training.distillation.consistent is set, every batch. What an
    earlier run under the same root has done is taken from its cache; one that was killed goes on. NAME is distill- and
    the variant in lower case. What the recipe has in student_training stands in training here.

    \b
    Examples: yt8m distill --teacher models/yt8m --variant K8-H256 --data 'frame/*.tfrecord'
              yt8m distill --teacher models/yt8m/3 --variant MLP-H2048 --data 'video/*.tfrecord' --recipe video-level --set training.distillation.weight=0.7
    """  # noqa: E501 - an example is one line
    for override in overrides or ():
        key = override.partition("=")[0].strip()
        for decided, option in _DECIDED.items():
            if key == decided or key.startswith(f"{decided}."):
                raise UserError(f"--set {key}: {option} says that already; leave one of them out")
    from pipeline.recipe.loader import load_recipe
    from serving.store.model_store import whole_model_path
    from trainer.model.model_spec import ModelSpec

    path = whole_model_path(teacher)
    if out and posixpath.abspath(out) in (
        posixpath.abspath(path),
        posixpath.dirname(posixpath.abspath(path)),
    ):
        raise UserError(
            f"--out {out} has the versions of the teacher, which the student would replace: name another"
        )
    from serving.export.card import ModelCard

    card = ModelCard.load(path)
    name = f"distill-{variant.lower()}"
    student = ModelSpec.parse(variant, card.num_classes)
    base = load_recipe(recipe, [f"data={json.dumps({'validate': data})}", "blessing={}"])
    # Those that are the same for this student only once.
    ladder = dict.fromkeys(form.without_others(student).name for form in base.compression.ladder)
    settings = {
        "name": name,
        "variants": [],
        "students": [variant],
        "seeds": {},
        "teacher": {"directory": path},
        "training_overrides": {},
        "student_training": {},
        **{f"training.{key}": value for key, value in base.student_training.items()},
        "compression.ladder": list(ladder),
        "halving": {},
        "kubernetes": {},
        "data.num_classes": card.num_classes,
        "push.directory": out or f"models/{name}",
    }
    fixed = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    loaded = load_recipe(recipe, [*fixed, *(overrides or ())], train=[], validate=data)
    _logger.info("teacher: %s, %s", path, " + ".join(member.variant for member in card.members))
    finished = run_recipe(loaded, root or f"runs/{name}")
    if as_json:
        typer.echo(json.dumps(finished.report.document(), indent=2))
        _logger.info("log: %s", finished.log_file)
    else:
        typer.echo(summary(finished))
