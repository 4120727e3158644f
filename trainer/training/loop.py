"""The training loop: steps, snapshots, and states from which a killed run goes on.

Legend: B videos, V classes.
"""

import hashlib
import json
import logging
import posixpath
from collections.abc import Callable, Container, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from trainer.base.errors import UserError
from trainer.checkpoints.snapshots import write_planned_steps, write_snapshot
from trainer.data.input_pipeline import Batch, Position
from trainer.data.input_processes import batches_of_processes
from trainer.data.labels import Identified, label_rows
from trainer.data.manifest import file_identity
from trainer.data.soft_targets import SoftTargets
from trainer.metrics.scorer import Scorer, evaluate
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import shrunk
from trainer.training.config import TrainingConfig
from trainer.training.distillation import DistilledTargets, Teacher
from trainer.training.huge_pages import STEPS_TO_ALLOCATE
from trainer.training.state import State, read_state, write_state
from trainer.training.step import TrainingStep
from trainer.training.training_log import TrainingLog

_GENERATION = 5
"""Part of a run's fingerprint. (The number of mixtures stood in its place once, 5: such older runs can go on.)"""
_STREAM = 2
"""Version of the training stream, its order and draws: a state goes on only in the stream that it came from."""

_WITHOUT_EFFECT = {"state_every", "log_every", "eval_slice", "keep_snapshots", "warm_steps"}
"""Settings that change neither the weights nor what is in a snapshot."""

SNAPSHOTS, STATE, LOGS = "snapshots", "state", "logs"
"""Sub-directories of a training run."""

_NO_TEACHER = (
    "training.distillation is set and there is no teacher: name the variant among the recipe's students"
)

_logger = logging.getLogger("yt8m.train")


def train(
    spec: ModelSpec,
    config: TrainingConfig,
    train_files: Sequence[str],
    eval_files: Sequence[str],
    directory: str,
    *,
    soft_targets: SoftTargets | None = None,
    teacher: Teacher | None = None,
    strategy: tf.distribute.Strategy | None = None,
    start: Mapping[str, np.ndarray] | None = None,
    until: int | None = None,
    snapshot_steps: Container[int] | None = None,
    on_allocated: Callable[[], object] = lambda: None,
) -> TrainingStep:
    """Trains one model, or goes on with the training that was stopped in this directory.

    On CPU a run that was killed at any moment and started again ends with the same weights, bit for bit, as a run that
    was not killed; so does a run whose newest state was lost to a bad disk.

    Args:
        spec: The model to train.
        config: Settings of the training.
        train_files: TFRecord files of valid SequenceExamples.
        eval_files: TFRecord files, likewise. Their first `config.eval_slice` videos are scored at each snapshot, for
            the log alone.
        directory: Directory that receives `snapshots/`, `state/` and TensorBoard's `logs/`.
        soft_targets: What a teacher says of the videos of `train_files`; needed where `config.distillation` is set and
            not consistent.
        teacher: The teacher itself; needed where `config.distillation` is consistent.
        strategy: Strategy of tf.distribute; None for all GPUs of this machine, or else its CPU.
        start: Weights to start from, by name; None for random ones. The optimizer starts anew in any case.
        until: Step after which to stop, with a snapshot and a state from which the rest can be trained; None to train
            to the last step.
        snapshot_steps: Steps of the snapshots that are written, of those that `config` asks for; None for all. GAP is
            logged at each of them in any case.
        on_allocated: Is called once, when TensorFlow holds all the memory that a step needs. What a process sets up for
            its memory, such as huge pages, is the business of whoever owns the process.

    Returns:
        The training step, whose variables hold the trained weights.

    Raises:
        UserError: The directory holds the state of another run, or the soft targets are missing or of other videos or
            classes.
    """
    targets = _targets(config, soft_targets, spec.num_classes)
    _check_teacher(config, teacher, spec.num_classes)
    step_function = TrainingStep(spec, config, strategy or default_strategy(), teacher)
    state_directory = posixpath.join(directory, STATE)
    taught_by = soft_targets.manifest.fingerprint if soft_targets else teacher and teacher.identity
    fingerprint = run_fingerprint(spec, config, train_files, taught_by)
    # Processes of their own know nothing of soft targets.
    processes = 1 if config.uses_soft_targets else config.input_processes
    done, positions = 0, [Position()] * processes
    if state := read_state(state_directory, fingerprint):
        step_function.load(state.weights)
        step_function.optimizer.load(state.slots)
        done, positions = state.step, list(state.positions)
        _logger.info("%s: going on from step %d", spec, done)
    elif start is not None:
        step_function.load(shrunk(spec, start, config.warm_shrink, config.seed, config.reverse_whitening))

    def batches_of_size(batch_size: int) -> Iterator[Batch]:
        return batches_of_processes(
            train_files,
            processes,
            positions,
            done % processes,
            batch_size=batch_size,
            frames_per_video=config.frames_per_video,
            seed=config.seed,
            shuffle_buffer=config.shuffle_buffer,
            files_per_group=config.files_per_group,
            num_classes=spec.num_classes,
            **({"targets": targets} if processes == 1 else {}),
        )

    batch_size = config.batch_size_at(done)
    batches = batches_of_size(batch_size)
    scorer = Scorer(spec, step_function.variables)
    log = TrainingLog(spec.name, config, posixpath.join(directory, LOGS), done)
    spec.save(posixpath.join(directory, SNAPSHOTS))
    planned = config.snapshot_steps(until)
    if snapshot_steps is not None:
        write_planned_steps(posixpath.join(directory, SNAPSHOTS), planned)
    end = planned[-1]
    allocated = done + STEPS_TO_ALLOCATE
    while done < end:
        if batch_size != (batch_size := config.batch_size_at(done)):
            batches.close()
            batches = batches_of_size(batch_size)
        batch = next(batches)
        result = step_function.run(batch, done)
        positions[done % processes] = Position.after(batch)
        done += 1
        if done == allocated:
            on_allocated()
        last = done == end
        if done % config.log_every == 0 or last:
            log.step(done, result)
        else:
            log.glance(done, result)
        if done in planned:
            if snapshot_steps is None or done in snapshot_steps:
                write_snapshot(posixpath.join(directory, SNAPSHOTS), done, step_function.variables)
            if config.eval_slice:
                metrics = evaluate(scorer, eval_files, limit=config.eval_slice)
                log.evaluation(done, metrics.gap, metrics.videos)
        if done % config.state_every == 0 or last:
            state = State(done, tuple(positions), step_function.variables, step_function.optimizer.slots)
            write_state(state_directory, state, fingerprint)
    batches.close()
    log.close()
    return step_function


def _targets(
    config: TrainingConfig, soft_targets: SoftTargets | None, num_classes: int
) -> Callable[[Sequence[Identified], int], np.ndarray]:
    """Returns the function that makes what batches are trained towards."""
    if not config.uses_soft_targets:
        return label_rows
    if soft_targets is None:
        raise UserError(_NO_TEACHER)
    return DistilledTargets(soft_targets, config.distillation, num_classes)


def _check_teacher(config: TrainingConfig, teacher: Teacher | None, num_classes: int) -> None:
    if config.asks_teacher and teacher is None:
        raise UserError(_NO_TEACHER)
    if teacher is not None:
        teacher.check(num_classes)


def default_strategy() -> tf.distribute.Strategy:
    """Returns a MirroredStrategy over this machine's GPUs when there is more than one, else TensorFlow's default."""
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def run_fingerprint(
    spec: ModelSpec, config: TrainingConfig, train_files: Sequence[str], teacher: str | None = None
) -> str:
    """Returns a digest of everything that decides the weights and snapshots of a run.

    Files count by name and size, not by directory: ExampleGen's shards are equal wherever they lie.

    Args:
        spec: The model that is trained.
        config: Settings of the training.
        train_files: TFRecord files to train on.
        teacher: Of a student the fingerprint of its soft targets (see `TeacherManifest`) or the identity of its
            `Teacher`; None for other models.

    Returns:
        64 hexadecimal digits.
    """
    settings = {"stream": _STREAM} | config.model_dump(exclude=_WITHOUT_EFFECT)
    data = sorted(file_identity(name) for name in train_files)
    parts = [spec.name, settings, data, spec.num_classes, _GENERATION, *([teacher] if teacher else ())]
    content = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
