"""Several models of one architecture, which differ in their seeds: the recipe's keys, and the DAG."""

import json

import pytest

from pipeline.dag.trainer_order import trainer_nodes
from pipeline.kubeflow.spec_edits import all_tasks
from pipeline.recipe.loader import load_recipe
from tests.pipeline.dag.test_students import compiled
from trainer.base.errors import UserError

SEEDS = "seeds={K16-H800: 3, Student-K8-H256: 2}"
PLACES = [
    "data.train=[gs://bkt/train*]",
    "data.validate=[gs://bkt/validate*]",
    "push.directory=gs://bkt/models",
    "variants=[K16-H800, K32-H512]",
]
STUDENTS = "students=[K8-H256, K16-H800]"
NAMES = ["K16-H800", "K16-H800-Seed1", "K16-H800-Seed2", "K32-H512"]
STUDENT_NAMES = ["Student-K8-H256", "Student-K8-H256-Seed1", "Student-K16-H800"]


def test_models_of_several_seeds_differ_in_name_and_seed_alone() -> None:
    overrides = ["training_overrides.K16-H800={seed: 40, steps: 7}", "student_training.dropout=0.2"]
    recipe = load_recipe("yhls", [*PLACES, STUDENTS, SEEDS, *overrides])
    assert list(recipe.variants_by_name) == NAMES
    assert list(recipe.trained) == NAMES + STUDENT_NAMES
    assert [str(recipe.trained[name]) for name in NAMES] == ["K16-H800"] * 3 + ["K32-H512"]
    trainings = [recipe.training_of(name) for name in recipe.trained]
    assert [training.seed for training in trainings] == [40, 41, 42, 0, 0, 1, 40]
    assert trainings[1] == trainings[0].model_copy(update={"seed": 41})
    assert trainings[5] == trainings[4].model_copy(update={"seed": 1})
    assert list(trainer_nodes(recipe)) == [f"Trainer-{name}" for name in recipe.trained]


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["seeds={K8-H256: 2}"], "seeds.K8-H256: is neither a variant nor a student of this recipe (K16-H800, K32-"),
        ([STUDENTS, "seeds={K8-H256: 2}"], "(K16-H800, K32-H512, Student-K16-H800, Student-K8-H256); leave it out"),
        (["seeds={K16-H800: 0}"], "seeds.K16-H800: input should be greater than or equal to 1"),
        (["seeds={K16-H800: 2}", "halving.enabled=true"], "seeds.K16-H800: with halving.enabled a variant is trained"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(overrides: list[str], complaint: str) -> None:
    with pytest.raises(UserError) as raised:
        load_recipe("yhls", [*PLACES, *overrides])
    assert complaint in str(raised.value)


@pytest.mark.slow
def test_all_models_go_from_training_to_the_ensemble_by_their_names() -> None:
    made = compiled(SEEDS, "teacher.folds=2")
    tasks = all_tasks(made.spec)
    for name in [*NAMES, *STUDENT_NAMES]:
        assert {f"Trainer-{name}", f"CheckpointAverager-{name}", f"Fp16Compressor-{name}"} <= set(tasks)
    config = json.loads(
        tasks["Trainer-K16-H800-Seed2"]["inputs"]["parameters"]["custom_config"]["runtimeValue"]["constant"]
    )
    assert (config["variant"], config["training"]["seed"]) == ("K16-H800", 2)
    for node, names in (
        ("TeachingAssembler-1", NAMES),
        ("EnsembleAssembler", [*NAMES, *STUDENT_NAMES]),
    ):
        parameters = tasks[node]["inputs"]["parameters"]
        assert parameters["names"]["runtimeValue"]["constant"].split(",") == names
    assert "FoldTrainer-1-K16-H800-Seed1" in tasks
    report = tasks["RunReport"]["inputs"]["parameters"]["names"]["runtimeValue"]["constant"]
    assert json.loads(report) == [*NAMES, *STUDENT_NAMES]
