"""The verb distill: the recipe that it runs."""

from pathlib import Path

import pytest

from pipeline.cli import distill as verb
from pipeline.cli.main import app
from pipeline.recipe.recipe import Recipe
from serving.export.saved_model import Member, write_saved_model
from tests.components.tiny_models import CLASSES, weights_of
from trainer.base.errors import UserError
from trainer.model.model_spec import ModelSpec
from trainer.training.config import DistillationConfig


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Recipe, str]]:
    """The recipes that were to be run, with their roots."""
    found: list[tuple[Recipe, str]] = []

    class Ran(BaseException):
        pass

    def run(recipe: Recipe, root: str) -> None:
        found.append((recipe, root))
        raise SystemExit

    monkeypatch.setattr(verb, "run_recipe", run)
    return found


def distill(*arguments: str) -> None:
    with pytest.raises(SystemExit):
        app(args=["distill", *arguments], standalone_mode=False)


def test_the_student_of_a_model_that_is_there(
    asked: list[tuple[Recipe, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_saved_model(
        str(tmp_path / "model"),
        [Member(spec=ModelSpec.parse("K3-H4", CLASSES + 8), weights=_weights())],
    )
    monkeypatch.chdir(tmp_path)
    distill("--teacher", "model", "--variant", "K2-H4", "--data", "a*", "--data", "b*")
    distill(
        *("--teacher", "model", "--variant", "MLP-H6", "--data", "a*", "--recipe", "families", "--out", "served"),
        *("--root", "here", "--set", "training.steps=9", "--set", "training.distillation.weight=0.9"),
    )  # fmt: skip
    (first, first_root), (second, second_root) = asked
    assert (first.name, first_root, first.push.directory) == (
        "distill-k2-h4", "runs/distill-k2-h4", "models/distill-k2-h4",
    )  # fmt: skip
    assert list(first.trained) == ["Student-K2-H4"]
    assert first.teacher.directory == "model"
    assert (first.data.train, first.data.validate_) == ((), ("a*", "b*"))
    assert first.data.num_classes == CLASSES + 8
    student = first.training_of(first.students[0], student=True)
    assert (student.steps, student.distillation) == (200_000, DistillationConfig())
    # The pools and overrides of the recipe's own variants are left out.
    assert (second_root, second.push.directory) == ("here", "served")
    student = second.training_of(second.students[0], student=True)
    assert (student.steps, student.distillation) == (9, DistillationConfig(weight=0.9))


def _weights():
    from trainer.model.weights import initial_weights

    return initial_weights(ModelSpec.parse("K3-H4", CLASSES + 8), 0)


def test_what_is_no_teacher_or_student_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        app(
            args=["distill", "--teacher", str(tmp_path / "none"), "--variant", "K2-H4", "--data", "a"],
            standalone_mode=False,
        )
    write_saved_model(
        str(tmp_path / "model"),
        [Member(spec=ModelSpec.parse("K3-H4", CLASSES), weights=weights_of("K3-H4", 1))],
    )
    with pytest.raises(UserError, match=r"students\.0: an architecture is written like"):
        app(
            args=[
                *("distill", "--teacher", str(tmp_path / "model"), "--variant", "K2H4", "--data", "a"),
                *("--set", "data.num_classes=20"),
            ],
            standalone_mode=False,
        )
