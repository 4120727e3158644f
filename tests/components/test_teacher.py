"""The Teacher: what it writes is what its models say, whoever scored, and however often it was stopped."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from components.student_trainer.component import StudentTrainer
from components.teacher import beam_steps
from components.teacher.report import TeacherReport
from components.teacher.teaching import teach
from components.trainer.run_fn import CustomConfig
from serving.export.saved_model import Member, write_saved_model
from tests.components.teachers import CONFIG, SPEC, write_teacher_shards, write_teachers
from tests.components.tiny_models import CLASSES, weights_of
from trainer.base.errors import UserError
from trainer.checkpoints.snapshots import list_snapshots, read_snapshot
from trainer.data.input_pipeline import eval_batches
from trainer.data.soft_targets import SoftTargets, TeacherManifest
from trainer.data.tfrecord import write_tfrecords
from trainer.metrics.scorer import Scorer
from trainer.model.model_spec import ModelSpec
from trainer.training.config import DistillationConfig, TrainingConfig

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> list[str]:
    """Two teachers."""
    return write_teachers(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> list[str]:
    return write_teacher_shards(tmp_path_factory.mktemp("shards"))


def pipeline():
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    arguments = ["--direct_num_workers=1", "--direct_running_mode=in_memory"]
    return beam.Pipeline(options=PipelineOptions(arguments))


def assert_taught_by(directory: str, seeds: list[int], shards: list[str]) -> None:
    """The file with number i has what the model of the seed with number i modulo their number says."""
    found = SoftTargets(directory)
    for index, shard in enumerate(shards):
        scorer = Scorer(SPEC)
        scorer.load(weights_of("K3-H4", seeds[index % len(seeds)]))
        for batch in eval_batches([shard], 16, CLASSES):
            scores = scorer.scores(batch)
            least = np.maximum(np.sort(scores, axis=1)[:, [-5]], 0.01)
            targets = np.zeros_like(scores)
            assert found.blend(batch["id"].tolist(), targets, 1.0, 1.0) == len(scores)
            np.testing.assert_allclose(targets, np.where(scores >= least, scores, 0), atol=2e-5)


def test_one_teacher_scores_all_and_several_each_its_fold(models, shards, tmp_path):
    report = teach(models[:1], shards, str(tmp_path / "one"), CONFIG, pipeline)
    assert_taught_by(str(tmp_path / "one"), [1], shards)
    assert (report.videos, report.files, report.resumed_files, report.models) == (40, 4, 0, ("K3-H4",))
    assert 40 < report.classes <= 200
    assert report.examples_bytes == sum(map(os.path.getsize, shards))
    report.write(str(tmp_path))
    assert TeacherReport.read(str(tmp_path)) == report
    assert not (tmp_path / "one" / "plan").exists()
    teach(models, shards, str(tmp_path / "folds"), CONFIG, pipeline)
    assert_taught_by(str(tmp_path / "folds"), [1, 2], shards)


def test_a_stopped_teacher_goes_on_and_another_one_starts_anew(models, shards, tmp_path, monkeypatch):
    scored, score = [], beam_steps.score_videos

    def killed_at_the_third(scorer, files, *rest):
        if len(scored) == 2:
            raise KeyboardInterrupt
        scored.extend(map(os.path.basename, files))
        return score(scorer, files, *rest)

    monkeypatch.setattr(beam_steps, "score_videos", killed_at_the_third)
    work, target = str(tmp_path / "work"), str(tmp_path / "target")
    with pytest.raises(RuntimeError, match="KeyboardInterrupt"):
        teach(models[:1], shards, target, CONFIG, pipeline, work)
    assert TeacherManifest.read(target) is None
    first, scored[:] = set(scored), []
    monkeypatch.setattr(
        beam_steps,
        "score_videos",
        lambda scorer, files, *rest: (
            scored.extend(map(os.path.basename, files)),
            score(scorer, files, *rest),
        )[1],
    )
    stopped = tmp_path / "stopped"
    shutil.copytree(work, stopped)
    report = teach(models[:1], shards, target, CONFIG, pipeline, work)
    assert report.resumed_files == 2
    assert set(scored) == {os.path.basename(shard) for shard in shards} - first
    assert_taught_by(target, [1], shards)
    assert not os.path.exists(work)
    # What another model has left is not taken for this one's.
    report = teach(models[1:], shards, target, CONFIG, pipeline, str(stopped))
    assert report.resumed_files == 0
    assert_taught_by(target, [2], shards)


def test_what_does_not_fit_is_the_users_error(models, shards, tmp_path):
    with pytest.raises(UserError, match=r"1 files cannot be divided among 2 models"):
        teach(models, shards[:1], str(tmp_path / "a"), CONFIG, pipeline)
    other = str(tmp_path / "other")
    spec = ModelSpec.parse("K3-H4", CLASSES + 8)
    from trainer.model.weights import initial_weights

    write_saved_model(other, [Member(spec=spec, weights=initial_weights(spec, 0))])
    with pytest.raises(UserError, match=f"{other} has 20 classes and .* 12"):
        teach([models[0], other], shards, str(tmp_path / "a"), CONFIG, pipeline)
    bad = str(tmp_path / "bad.tfrecord")
    write_tfrecords(bad, [b"no record"])
    with pytest.raises(UserError, match=r"bad\.tfrecord, byte 0: not_an_example"):
        teach(models[:1], [bad], str(tmp_path / "b"), CONFIG, pipeline)


def test_the_executors_on_artifacts(models, shards, tmp_path):
    from tfx.types import artifact_utils, standard_artifacts

    from components.artifacts import Report
    from components.artifacts import SoftTargets as SoftTargetsArtifact
    from components.student_trainer.executor import Executor as Student
    from components.teacher.executor import Executor as Teacher

    def artifact(kind, place: Path):
        made = kind()
        made.uri = str(place)
        return made

    examples = artifact(standard_artifacts.Examples, tmp_path / "examples")
    examples.split_names = artifact_utils.encode_split_names(["train", "eval"])
    for split in ("train", "eval"):
        (tmp_path / "examples" / f"Split-{split}").mkdir(parents=True)
        for shard in shards:
            os.link(shard, tmp_path / "examples" / f"Split-{split}" / os.path.basename(shard))
    model = artifact(standard_artifacts.Model, tmp_path / "model")
    shutil.copytree(models[0], tmp_path / "model" / "Format-Serving")
    soft = artifact(SoftTargetsArtifact, tmp_path / "soft")
    report = artifact(Report, tmp_path / "report")
    config = CONFIG.model_dump_json()
    for inputs, more in (({"model_000": [model]}, {}), ({}, {"directory": models[0]})):
        Teacher().Do(
            {"examples": [examples], **inputs},
            {"soft_targets": [soft], "report": [report]},
            {"config": config, **more},
        )
        assert_taught_by(soft.uri, [1], shards)
    training = TrainingConfig(
        steps=4, batch_size=8, frames_per_video=2, snapshot_every=2, state_every=2, eval_slice=0,
        shuffle_buffer=8, distillation={"weight": 0.5},
    )  # fmt: skip
    student = CustomConfig(
        variant="K2-H4", training=training, num_classes=CLASSES, work_dir=str(tmp_path / "work" / "Student")
    )
    run = artifact(standard_artifacts.ModelRun, tmp_path / "run")
    inputs = {"examples": [examples], "soft_targets": [soft]}
    Student().Do(inputs, {"model_run": [run]}, {"config": student.model_dump_json()})
    assert [one.step for one in list_snapshots(str(tmp_path / "run" / "snapshots"))] == [2, 4]
    # A consistent student asks the model itself: an input of the step, or a directory.
    consistent = training.model_copy(update={"distillation": DistillationConfig(consistent=True)})
    config = student.model_copy(update={"training": consistent}).model_dump_json()
    own, given = (
        artifact(standard_artifacts.ModelRun, tmp_path / "own"),
        artifact(standard_artifacts.ModelRun, tmp_path / "given"),
    )
    Student().Do({"examples": [examples], "teacher": [model]}, {"model_run": [own]}, {"config": config})
    Student().Do({"examples": [examples]}, {"model_run": [given]}, {"config": config, "directory": models[0]})
    first, second = (read_snapshot(list_snapshots(f"{run.uri}/snapshots")[-1].prefix) for run in (own, given))
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value)
    assert StudentTrainer.SPEC_CLASS.INPUTS.keys() == {*inputs, "teacher"}


def test_a_fold_leaves_out_what_its_teacher_scores():
    files = list("abcde")
    folds = [CustomConfig(variant="K2-H4", training=TrainingConfig(), fold=(i, 2)) for i in range(2)]
    assert [fold.chosen(files) for fold in folds] == [["b", "d"], ["a", "c", "e"]]
    with pytest.raises(UserError, match=r"1 file\(s\) and teacher\.folds is 2"):
        folds[0].chosen(["a"])
