"""The verb distill: the recipe that it runs."""

import os
from pathlib import Path

import pytest

from pipeline.cli.main import app
from pipeline.cli.training import distill as verb
from pipeline.recipe.loader import read_text
from pipeline.recipe.recipe import Recipe
from serving.export.saved_model import Member, write_saved_model
from trainer.base.errors import UserError
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights
from trainer.training.config import DistillationConfig

CLASSES = 24


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A teacher."""
    directory = str(tmp_path_factory.mktemp("teacher") / "model")
    spec = ModelSpec.parse("MLP-H4", CLASSES)
    write_saved_model(directory, [Member(spec=spec, weights=initial_weights(spec, 0))])
    return directory


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Recipe, str]]:
    """The recipes that were to be run, with their roots."""
    found: list[tuple[Recipe, str]] = []

    def run(recipe: Recipe, root: str) -> None:
        found.append((recipe, root))
        raise SystemExit

    monkeypatch.setattr(verb, "run_recipe", run)
    return found


def distill(*arguments: str) -> None:
    app(args=["distill", *arguments], standalone_mode=False)


def test_the_student_of_a_model_that_is_there(model: str, asked: list[tuple[Recipe, str]]) -> None:
    with pytest.raises(SystemExit):
        distill("--teacher", model, "--variant", "K2-H4", "--data", "a*", "--data", "b*")
    recipe, root = asked[0]
    assert (recipe.name, root, recipe.push.directory) == (
        "distill-k2-h4", "runs/distill-k2-h4", "models/distill-k2-h4",
    )  # fmt: skip
    assert list(recipe.trained) == ["Student-K2-H4"]
    assert recipe.teacher.directory == model
    assert (recipe.data.train, recipe.data.validate_) == ((), ("a*", "b*"))
    assert recipe.data.num_classes == CLASSES
    student = recipe.training_of(*recipe.students_by_name)
    assert (student.steps, student.distillation) == (200_000, DistillationConfig())


def test_another_recipe_without_what_is_for_its_variants(
    model: str, asked: list[tuple[Recipe, str]], tmp_path: Path
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"{read_text('families')}\nseeds: {{K24-H1440: 2}}\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        distill(
            *("--teacher", model, "--variant", "MLP-H6", "--data", "a*", "--recipe", str(mine), "--out", "served"),
            *("--root", "here", "--set", "training.steps=9", "--set", "training.distillation.weight=0.9"),
        )  # fmt: skip
    recipe, root = asked[0]
    assert (root, recipe.push.directory, recipe.kubernetes.variant_pools) == ("here", "served", {})
    student = recipe.training_of(*recipe.students_by_name)
    assert (student.steps, student.distillation) == (9, DistillationConfig(weight=0.9))


def test_what_a_recipe_has_for_its_students_is_where_the_command_line_looks(
    model: str, asked: list[tuple[Recipe, str]]
) -> None:
    with pytest.raises(SystemExit):
        distill(
            *("--teacher", model, "--variant", "MLP-H6", "--data", "a*", "--recipe", "video-level"),
            *("--set", "training.dropout=0.3", "--set", "training.distillation.weight=0.9"),
        )
    student = asked[0][0].training_of("Student-MLP-H6")
    assert (student.learning_rate, student.mixup, student.dropout) == (0.001, 1.0, 0.3)
    assert student.distillation == DistillationConfig(weight=0.9, consistent=True)
    # The kernels that its forms name are those of other families.
    assert [form.name for form in asked[0][0].compression.ladder] == ["float16", "int8", "int4-b64"]


def test_what_is_no_teacher_or_student_is_refused(model: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        distill("--teacher", str(tmp_path / "none"), "--variant", "K2-H4", "--data", "a")
    with pytest.raises(UserError, match="an architecture is written like"):
        distill("--teacher", model, "--variant", "K2H4", "--data", "a")
    with pytest.raises(UserError, match=r"no file matches .*none"):
        distill("--teacher", model, "--variant", "K2-H4", "--data", str(tmp_path / "none*"))
    with pytest.raises(
        UserError, match=r"--set variants\.0: --variant says that already; leave one of them out"
    ):
        distill("--teacher", model, "--variant", "K2-H4", "--data", "a", "--set", "variants.0=K4-H8")
    for place in (model, os.path.dirname(model)):
        with pytest.raises(UserError, match=r"--out .* has the versions of the teacher"):
            distill("--teacher", model, "--variant", "K2-H4", "--data", "a", "--out", place)
