"""Students: the recipe's keys, and the DAG from teachers to the final ensemble, here and compiled."""

import json
import os

import pytest

from pipeline.dag.trainer_order import trainer_nodes, training_work
from pipeline.kubeflow.spec_edits import all_tasks
from pipeline.recipe.loader import load_recipe, parse_recipe
from trainer.base.errors import UserError
from trainer.training.config import DistillationConfig

PLACES = [
    "data.train=[gs://bkt/train*]",
    "data.validate=[gs://bkt/validate*]",
    "push.directory=gs://bkt/models",
]
TEACHERS = ["K16-H800", "K32-H512"]
OVERRIDES = [*PLACES, f"variants=[{', '.join(TEACHERS)}]", "students=[K8-H256, K16-H800]"]
STUDENTS = ["Student-K8-H256", "Student-K16-H800"]


def compiled(*overrides: str):
    from pipeline.kubeflow.compile import compile_pipeline

    return compile_pipeline(load_recipe("yhls", [*OVERRIDES, *overrides]), "image:1", "gs://bkt/root")


def producers(task: dict) -> dict[str, str]:
    return {
        key: one["taskOutputArtifact"]["producerTask"] for key, one in task["inputs"]["artifacts"].items()
    }


def test_students_follow_and_teachers_do_not() -> None:
    recipe = load_recipe("yhls", [*OVERRIDES, "training_overrides.K16-H800.steps=7"])
    assert list(recipe.trained) == [*TEACHERS, *STUDENTS]
    teacher, student = "K16-H800", "Student-K16-H800"
    assert recipe.training_of(teacher).distillation is None
    assert recipe.training_of(student).distillation == DistillationConfig()
    assert recipe.training_of(student).steps == recipe.training_of(teacher).steps == 7
    heavy = load_recipe("yhls", [*OVERRIDES, "training.distillation.weight=0.9"])
    assert heavy.training_of(teacher).distillation is None
    assert heavy.training_of(student).distillation == DistillationConfig(weight=0.9)
    assert list(trainer_nodes(recipe)) == [f"Trainer-{name}" for name in recipe.trained]


def test_students_have_settings_of_their_own_also_where_a_teacher_has_the_same_architecture() -> None:
    settings = "{steps: 9, keep_snapshots: true, start: models/5, distillation: {consistent: true}}"
    overrides = ["training_overrides.K16-H800={steps: 7, dropout: 0.5}", f"student_training={settings}"]
    recipe = load_recipe("yhls", [*OVERRIDES, *overrides])
    teacher, student = recipe.training_of("K16-H800"), recipe.training_of("Student-K16-H800")
    assert (teacher.steps, teacher.dropout, teacher.keep_snapshots, teacher.distillation) == (
        7,
        0.5,
        False,
        None,
    )
    assert (student.steps, student.dropout, student.keep_snapshots) == (9, 0.5, True)
    assert student.distillation == DistillationConfig(consistent=True)
    assert recipe.training_of("Student-K8-H256").steps == 9
    assert [name for name in recipe.trained if recipe.start_of(name)] == STUDENTS
    assert recipe.with_absolute_paths().start_of(STUDENTS[0]) == os.path.abspath("models/5")
    assert (
        training_work(recipe, {"a": "K16-H800"})["a"] * 9
        == training_work(recipe, {"a": STUDENTS[1]})["a"] * 7
    )


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (["variants=[]"], "variants: at least one is needed, or students and a teacher.directory"),
        (["variants=[]", "students=[K8-H256]"], "variants: at least one is needed"),
        (["students=[K8-H256, K8-H256]"], "students: K8-H256 stands there more than once"),
        (["teacher.folds=2"], "teacher: there are no students, whom it is for"),
        (["training.distillation.weight=1"], "training.distillation: there are no students"),
        (["students=[K8-H256]", "training.distillation.weight=2"], "distillation.weight: "),
        (["students=[K8-H256]", "teacher.directory=/m", "teacher.folds=3"], "folds and limit_mib are not for it"),
        (["students=[K8-H256]", "teacher.folds=3", "training.distillation.consistent=true"],
         "teacher.folds: the teacher of K8-H256 is consistent"),
        (["training_overrides.K8-H256.steps=3"], "training_overrides.K8-H256: is not among the variants"),
        (["student_training.stepps=3"], "student_training.stepps: unknown key, did you mean steps?"),
        (["students=[K8-H256]", "student_training.batch_size=1"], "student_training.batch_size: "),
        (["students=[K8-H256]", "student_training.distillation.weight=1", "training.distillation.weight=1"],
         "training.distillation: student_training.distillation has it"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(overrides: list[str], complaint: str) -> None:
    with pytest.raises(UserError) as raised:
        load_recipe("yhls", overrides)
    assert complaint in str(raised.value)


def test_a_recipe_of_before_stays_what_it_was() -> None:
    recipe = load_recipe("yhls")
    written = recipe.model_dump_json(exclude_defaults=True, by_alias=True)
    assert not {"students", "teacher", "distillation"} & set(json.loads(written))
    assert parse_recipe(json.loads(written), where="here") == recipe


@pytest.mark.slow
def test_one_dag_from_teachers_to_the_final_ensemble() -> None:
    made = compiled("kubernetes.max_parallel_trainers=1", "kubernetes.trainer_pool=l4")
    tasks = all_tasks(made.spec)
    examples = "YouTube8MExampleGen"
    assert producers(tasks["TeachingAssembler"]) == {
        "examples": examples,
        **{f"model_{index:03d}": f"Fp16Compressor-{name}" for index, name in enumerate(TEACHERS)},
    }
    assert producers(tasks["Teacher"]) == {"examples": examples, "model_000": "TeachingAssembler"}
    assert "ExampleValidator" in tasks["Teacher"]["dependentTasks"]
    for name in STUDENTS:
        assert producers(tasks[f"Trainer-{name}"]) == {"examples": examples, "soft_targets": "Teacher"}
        config = json.loads(
            tasks[f"Trainer-{name}"]["inputs"]["parameters"]["config"]["runtimeValue"]["constant"]
        )
        assert config["training"]["distillation"] == {"weight": 0.5, "temperature": 1.0}
        assert producers(tasks[f"CheckpointAverager-{name}"])["model_run"] == f"Trainer-{name}"
    teacher_config = tasks["Trainer-K16-H800"]["inputs"]["parameters"]["custom_config"]["runtimeValue"][
        "constant"
    ]
    assert "distillation" not in teacher_config
    assert producers(tasks["EnsembleAssembler"]) == {
        "examples": examples,
        **{f"model_{index:03d}": f"Fp16Compressor-{name}" for index, name in enumerate([*TEACHERS, *STUDENTS])},
    }  # fmt: skip
    names = tasks["EnsembleAssembler"]["inputs"]["parameters"]["names"]["runtimeValue"]["constant"]
    assert names.split(",") == [*TEACHERS, *STUDENTS]
    # The smaller student first, and one at a time.
    assert "Trainer-Student-K8-H256" in tasks["Trainer-Student-K16-H800"]["dependentTasks"]
    executors = made.spec["deploymentSpec"]["executors"]
    for node in [f"Trainer-{name}" for name in [*TEACHERS, *STUDENTS]]:
        assert "accelerator" in executors[f"{node}_executor"]["container"]["resources"]
        assert tasks[node]["retryPolicy"]["maxRetryCount"] == 5
    beam = executors["Teacher_executor"]["container"]["args"]
    assert "--runner=DirectRunner" in beam
    assert tasks["Teacher"]["retryPolicy"]["maxRetryCount"] == 2
    report = producers(tasks["RunReport"])
    assert [report[f"training_{index:03d}"] for index in range(4)] == [
        f"Trainer-{name}" for name in [*TEACHERS, *STUDENTS]
    ]


@pytest.mark.slow
def test_folds_have_trainings_and_ensembles_of_their_own() -> None:
    tasks = all_tasks(compiled("teacher.folds=2", "kubernetes.max_parallel_trainers=2").spec)
    for fold in range(2):
        for name in TEACHERS:
            parameters = tasks[f"FoldTrainer-{fold}-{name}"]["inputs"]["parameters"]
            config = json.loads(parameters["custom_config"]["runtimeValue"]["constant"])
            assert config["fold"] == [fold, 2]
        models = {
            f"model_{index:03d}": f"FoldFp16Compressor-{fold}-{name}" for index, name in enumerate(TEACHERS)
        }
        assert producers(tasks[f"TeachingAssembler-{fold}"]) == {"examples": "YouTube8MExampleGen", **models}
    assert producers(tasks["Teacher"]) == {
        "examples": "YouTube8MExampleGen", "model_000": "TeachingAssembler-0", "model_001": "TeachingAssembler-1",
    }  # fmt: skip
    # Six trainings in two chains, before the students' two.
    trainers = {name for name in tasks if "Trainer-" in name and "Student" not in name}
    waiting = [name for name in trainers if set(tasks[name]["dependentTasks"]) & trainers]
    assert (len(trainers), len(waiting)) == (6, 4)
    halved = all_tasks(compiled("teacher.folds=2", "halving.enabled=true").spec)
    assert {name for name in halved if name.startswith("Fold")} == {
        name for name in tasks if name.startswith("Fold")
    }


@pytest.mark.slow
def test_a_consistent_teacher_is_asked_by_its_students_themselves() -> None:
    override = "training_overrides.K8-H256.distillation={consistent: true}"
    all_of_them = all_tasks(compiled("student_training={steps: 9, distillation: {consistent: true}}").spec)
    for name in STUDENTS:
        given = all_of_them[f"Trainer-{name}"]["inputs"]["parameters"]["config"]["runtimeValue"]["constant"]
        assert json.loads(given)["training"]["steps"] == 9
    assert "Teacher" not in all_of_them
    tasks = all_tasks(compiled(override).spec)
    both = {"examples": "YouTube8MExampleGen", "teacher": "TeachingAssembler"}
    assert producers(tasks["Trainer-Student-K8-H256"]) == both
    assert "ExampleValidator" in tasks["Trainer-Student-K8-H256"]["dependentTasks"]
    assert producers(tasks["Trainer-Student-K16-H800"])["soft_targets"] == "Teacher"
    made = compiled(override, "students=[K8-H256]")
    assert "Teacher" not in all_tasks(made.spec)
    assert "Teacher_executor" not in made.spec["deploymentSpec"]["executors"]

    def memory(spec: dict) -> float:
        container = spec["deploymentSpec"]["executors"]["Trainer-Student-K8-H256_executor"]["container"]
        return container["resources"]["memoryLimit"]

    # The teacher's weights are read into main memory, in float32.
    larger = compiled(override, "students=[K8-H256]", "teacher.limit_mib=4096")
    assert memory(larger.spec) - memory(made.spec) == pytest.approx(2 * 3 * 2**30 / 1e9, abs=1)
    given = all_tasks(
        compiled(override, "variants=[]", "students=[K8-H256]", "teacher.directory=gs://bkt/t/3").spec
    )
    student = given["Trainer-Student-K8-H256"]
    assert producers(student) == {"examples": "YouTube8MExampleGen"}
    assert student["inputs"]["parameters"]["directory"]["runtimeValue"]["constant"] == "gs://bkt/t/3"


@pytest.mark.slow
def test_a_model_that_is_there_teaches() -> None:
    tasks = all_tasks(compiled("variants=[]", "teacher.directory=gs://bkt/teacher/3").spec)
    assert producers(tasks["Teacher"]) == {"examples": "YouTube8MExampleGen"}
    directory = tasks["Teacher"]["inputs"]["parameters"]["directory"]["runtimeValue"]["constant"]
    assert directory == "gs://bkt/teacher/3"
    assert "TeachingAssembler" not in tasks
    assert set(producers(tasks["EnsembleAssembler"])) == {"examples", "model_000", "model_001"}
    with pytest.raises(
        UserError, match=r"teacher\.directory: /home/me/model is a path that a pod does not have"
    ):
        compiled("variants=[]", "teacher.directory=/home/me/model")
