"""Students: their loss, their runs, and what they refuse."""

import numpy as np
import pytest

from tests.records import random_example, write_shards
from trainer.base.errors import UserError
from trainer.data.input_pipeline import eval_batches, train_batches
from trainer.data.labels import label_rows
from trainer.data.soft_targets import SoftTargets, SoftTargetWriter, TeacherManifest, part_path
from trainer.data.tfrecord import write_record
from trainer.metrics.scorer import Scorer
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights
from trainer.training.config import DistillationConfig, TrainingConfig
from trainer.training.distillation import DistilledTargets, Teacher, TeacherMember
from trainer.training.loop import run_fingerprint, train
from trainer.training.loss import cross_entropy, smoothed
from trainer.training.optimizer import learning_rate
from trainer.training.step import TrainingStep

CLASSES = 12
SPEC = ModelSpec.parse("K2-H6", CLASSES)
CONFIG = TrainingConfig(
    steps=150, batch_size=8, frames_per_video=2, learning_rate=0.01, snapshot_every=150, state_every=150,
    log_every=50, eval_slice=0, shuffle_buffer=32, files_per_group=2,
    distillation=DistillationConfig(weight=1.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> list[str]:
    return write_shards(tmp_path_factory.mktemp("shards"), shards=2, videos=20, num_classes=CLASSES)


@pytest.fixture(scope="module")
def lessons(shards, tmp_path_factory) -> str:
    """Soft targets of a teacher that calls each label by the next class."""
    directory = str(tmp_path_factory.mktemp("lessons"))
    TeacherManifest(
        models=("m",),
        num_classes=CLASSES,
        threshold=0.01,
        max_classes=32,
        files=tuple((s, 1) for s in shards),
    ).write(directory)
    for index, shard in enumerate(shards):
        with SoftTargetWriter(part_path(directory, index), 0.01) as writer:
            for batch in eval_batches([shard], 8, CLASSES):
                writer.add(batch["id"].tolist(), taught(batch["labels"]))
    return directory


def taught(labels: np.ndarray) -> np.ndarray:
    return (0.8 * np.roll(labels, 1, axis=1)).astype(np.float32)


def stream(shards, targets):
    return train_batches(
        shards, batch_size=8, frames_per_video=2, seed=3, shuffle_buffer=32, files_per_group=2,
        num_classes=CLASSES, targets=targets,
    )  # fmt: skip


def test_the_loss_of_the_blend_is_the_blend_of_the_losses(shards, lessons):
    soft = SoftTargets(lessons)
    plain = next(train_batches(
        shards, batch_size=8, frames_per_video=2, seed=3, shuffle_buffer=32, files_per_group=2, num_classes=CLASSES
    ))  # fmt: skip
    config = DistillationConfig(weight=0.3)
    batch = next(stream(shards, DistilledTargets(soft, config, CLASSES)))
    for key in ("frames", "counts", "position"):
        np.testing.assert_array_equal(batch[key], plain[key])  # the same stream as without a teacher
    teacher = taught(plain["labels"])
    p = np.random.default_rng(0).random((8, CLASSES), np.float32)
    both = 0.3 * cross_entropy(p, teacher) + 0.7 * cross_entropy(p, plain["labels"])
    assert float(cross_entropy(p, batch["labels"])) == pytest.approx(float(both), rel=1e-4)


def test_a_student_learns_what_its_teacher_says(shards, lessons, tmp_path):
    trained = train(SPEC, CONFIG, shards, shards, str(tmp_path), soft_targets=SoftTargets(lessons))
    scorer = Scorer(SPEC, trained.variables)
    (batch,) = eval_batches(shards, 40, CLASSES)
    scores = scorer.scores(batch)

    def share(labels: np.ndarray) -> float:
        return float(labels[np.arange(len(scores)), scores.argmax(axis=1)].mean())

    assert share(np.roll(batch["labels"], 1, axis=1)) > 0.6 > share(batch["labels"])


def test_another_teacher_is_another_run(shards, lessons, tmp_path):
    alone = CONFIG.model_copy(update={"distillation": None})
    soft = SoftTargets(lessons)
    prints = {
        run_fingerprint(SPEC, alone, shards),
        run_fingerprint(SPEC, CONFIG, shards, soft.manifest.fingerprint),
        run_fingerprint(SPEC, CONFIG, shards, "other"),
        run_fingerprint(
            SPEC, CONFIG.model_copy(update={"distillation": DistillationConfig()}), shards, "other"
        ),
    }
    assert len(prints) == 4
    short = CONFIG.model_copy(update={"steps": 2})
    train(SPEC, short, shards, shards, str(tmp_path), soft_targets=soft)
    soft.manifest = TeacherManifest(
        models=("n",), num_classes=CLASSES, threshold=0.01, max_classes=32, files=soft.manifest.files
    )
    with pytest.raises(UserError, match="state of a run with other settings"):
        train(SPEC, short, shards, shards, str(tmp_path), soft_targets=soft)


def test_settings_of_before_have_the_fingerprints_of_before():
    # What a version without these settings would have written.
    assert not {"distillation", "warmup_steps", "rate_schedule", "label_smoothing"} & set(
        TrainingConfig().model_dump()
    )
    full = TrainingConfig(distillation={"weight": 0.7}, warmup_steps=5, rate_schedule="cosine")
    assert TrainingConfig.model_validate_json(full.model_dump_json()) == full
    assert full.model_dump()["distillation"] == {"weight": 0.7, "temperature": 1.0}
    assert CONSISTENT.model_dump()["distillation"]["consistent"]


def test_what_does_not_fit_is_refused(shards, lessons, tmp_path):
    with pytest.raises(UserError, match="there is no teacher"):
        train(SPEC, CONFIG, shards, shards, str(tmp_path))
    other = ModelSpec.parse("K2-H6", CLASSES + 8)
    with pytest.raises(UserError, match="knows 12 classes and the student is to learn 20"):
        train(other, CONFIG, shards, shards, str(tmp_path), soft_targets=SoftTargets(lessons))
    strangers = str(tmp_path / "strangers")
    with open(strangers, "wb") as file:
        for index in range(9):
            write_record(file, random_example(np.random.default_rng(0), 2, [1], b"x%d" % index))
    with pytest.raises(UserError, match="have none of the first 8 videos"):
        train(SPEC, CONFIG, [strangers], shards, str(tmp_path / "run"), soft_targets=SoftTargets(lessons))


TEACHERS = [
    TeacherMember(spec, initial_weights(spec, seed), share)
    for seed, (spec, share) in enumerate([(ModelSpec.parse("K3-H4", CLASSES), 0.75), (SPEC, 0.25)], 7)
]
CONSISTENT = CONFIG.model_copy(
    update={"distillation": DistillationConfig(weight=0.7, temperature=2.0, consistent=True)}
)


def test_a_consistent_teacher_scores_the_frames_of_the_batch(shards):
    batch = next(stream(shards, label_rows))
    scored = []
    for spec, weights, _ in [*TEACHERS, TeacherMember(SPEC, initial_weights(SPEC, 0), 1.0)]:
        scorer = Scorer(spec)
        scorer.load(weights)
        # Frames that count several times stand there several times.
        times = batch["counts"].astype(int)
        frames = np.stack([np.repeat(one, n, axis=0) for one, n in zip(batch["frames"], times, strict=True)])
        counted = {"frames": frames, "num_frames": np.full(len(frames), 2, np.int32)}
        scored.append(scorer.scores(counted).astype(np.float64))
    teacher = 0.75 * scored[0] + 0.25 * scored[1]
    softer = np.sqrt(teacher) / (np.sqrt(teacher) + np.sqrt(1 - teacher))
    targets = 0.7 * softer + 0.3 * batch["labels"]
    step = TrainingStep(SPEC, CONSISTENT, teacher=Teacher(TEACHERS, "t"))
    # In training a student's batch normalisation takes the statistics of the batch, so its loss is compared with that
    # of the same student towards the targets themselves.
    plain = TrainingStep(SPEC, CONFIG)
    expected = plain.run({**batch, "labels": targets.astype(np.float32)}, 0)
    assert float(step.run(batch, 0).loss) == pytest.approx(float(expected.loss), rel=1e-5)
    for name, value in plain.weights().items():
        np.testing.assert_allclose(step.weights()[name], value, atol=2e-3)


def test_a_student_learns_what_its_teacher_says_of_blends(shards, tmp_path):
    """The teacher's own copy is the best student: its loss towards itself is the least that there is."""
    mixed = CONSISTENT.model_copy(
        update={"mixup": 1.0, "steps": 60, "distillation": DistillationConfig(weight=1, consistent=True)}
    )
    teacher = Teacher(TEACHERS[1:], "t")
    scorer = Scorer(SPEC)
    (batch,) = eval_batches(shards, 40, CLASSES)

    def distance(weights) -> float:
        scorer.load(weights)
        own = scorer.scores(batch)
        scorer.load(TEACHERS[1].weights)
        return float(np.abs(own - 0.25 * scorer.scores(batch)).mean())

    trained = train(SPEC, mixed, shards, shards, str(tmp_path), teacher=teacher).weights()
    assert distance(trained) < 0.3 * distance(initial_weights(SPEC, mixed.seed))


def test_a_consistent_students_run_goes_on_and_another_teacher_is_another_run(shards, tmp_path):
    short = CONSISTENT.model_copy(update={"steps": 6, "mixup": 1.0, "state_every": 2})
    teacher = Teacher(TEACHERS, "t")
    whole = train(SPEC, short, shards, shards, str(tmp_path / "whole"), teacher=teacher).weights()
    train(SPEC, short, shards, shards, str(tmp_path / "cut"), teacher=teacher, until=3)
    again = train(SPEC, short, shards, shards, str(tmp_path / "cut"), teacher=teacher).weights()
    for name, value in whole.items():
        np.testing.assert_array_equal(again[name], value)
    with pytest.raises(UserError, match="state of a run with other settings"):
        train(SPEC, short, shards, shards, str(tmp_path / "cut"), teacher=Teacher(TEACHERS, "u"))
    with pytest.raises(UserError, match="there is no teacher"):
        train(SPEC, short, shards, shards, str(tmp_path / "none"))
    other = ModelSpec.parse("K2-H6", CLASSES + 8)
    with pytest.raises(UserError, match="knows 12 classes and the student is to learn 20"):
        train(other, short, shards, shards, str(tmp_path / "other"), teacher=teacher)


def test_rates_rise_and_fall_as_they_should():
    config = TrainingConfig(steps=110, warmup_steps=10, learning_rate=1.0, rate_schedule="cosine")
    rates = [float(learning_rate(config, step)) for step in (0, 4, 9, 10, 35, 60, 110)]
    assert rates == pytest.approx([0.1, 0.5, 1.0, 1.0, 0.8536, 0.5, 0.0], abs=1e-4)
    staircase = config.model_copy(
        update={"rate_schedule": "staircase", "learning_rate_decay_examples": 80 * 50}
    )
    rates = [float(learning_rate(staircase, step)) for step in (0, 10, 49, 50, 100)]
    assert rates == pytest.approx([0.1, 1.0, 1.0, 0.8, 0.64])
    with pytest.raises(ValueError, match="warmup_steps is 111, more than all 110 steps"):
        TrainingConfig(steps=110, warmup_steps=111)


def test_smoothing_keeps_the_sum():
    targets = np.float32([[1, 0, 0, 1], [0, 0, 0, 0]])
    assert smoothed(targets, 0.0) is targets
    found = smoothed(targets, 0.2).numpy()
    np.testing.assert_allclose(found, [[0.9, 0.1, 0.1, 0.9], [0, 0, 0, 0]], atol=1e-6)
