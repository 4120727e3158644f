"""What TFX's Trainer calls: one variant of the recipe, from Examples to a servable model and its snapshots.

It lies here and not in `trainer`, because it joins training with the SavedModel of `serving`, and imports go down
only. TFX itself is not imported: the Trainer hands over an object, of which the attributes of `FnArgs` are used.
"""

import hashlib
import logging
import os
import posixpath
import shutil
from typing import Any, Protocol

import tensorflow as tf
from pydantic import BaseModel, ConfigDict, Field

from components.checkpoint_averager.config import AveragingConfig
from components.checkpoint_averager.ranges import needed_steps
from components.half_time.result import measure_half_time
from components.trainer.warm_start import Start, find_start
from serving.export.saved_model import Member, write_saved_model
from trainer.base.errors import UserError
from trainer.base.files import sync_path
from trainer.base.memory import keep_freed_memory
from trainer.data.manifest import example_files
from trainer.data.yt8m import NUM_CLASSES
from trainer.model.model_spec import ModelSpec
from trainer.training.config import TrainingConfig
from trainer.training.huge_pages import use_huge_pages_for
from trainer.training.loop import run_fingerprint, train

_logger = logging.getLogger("yt8m.train")


class FnArgs(Protocol):
    """The attributes of tfx.components.FnArgs that are used."""

    train_files: list[str]
    eval_files: list[str]
    serving_model_dir: str
    model_run_dir: str
    custom_config: dict[str, Any]


class CustomConfig(BaseModel):
    """The Trainer's `custom_config`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    variant: str = Field(description="Name of an architecture, such as K24-H1440.")
    training: TrainingConfig = Field(description="Settings of its training.")
    num_classes: int = Field(NUM_CLASSES, ge=1, description="Number of classes, V.")
    work_dir: str | None = Field(
        None,
        description="Local directory that outlives a killed run: the next one goes on from what it finds there. "
        "None where a retry is given the same model_run (Kubeflow Pipelines).",
    )
    averaging: AveragingConfig | None = Field(
        None, description="Candidates, by which only some snapshots are needed; None where all are kept."
    )
    start_from: str | None = Field(
        None,
        description="Directory of a model, or of versions of one, whose member of this variant is trained on; None for "
        "a training from random weights.",
    )
    until: int | None = Field(
        None,
        ge=1,
        description="Step of the first half's end, at which it is measured; None for a whole training.",
    )
    fold: tuple[int, int] | None = Field(
        None,
        description="(i, n): every n-th train file from the i-th on is left out, for a teacher to score; None for all.",
    )

    @property
    def spec(self) -> ModelSpec:
        """The model that is trained."""
        return ModelSpec.parse(self.variant, self.num_classes)

    @property
    def snapshot_steps(self) -> list[int] | None:
        """The steps of the snapshots that are written; None for all."""
        return self.averaging and needed_steps(self.averaging, self.training.snapshot_steps(self.until))

    def started(self, model_run: str) -> "tuple[CustomConfig, Start | None]":
        """Returns the settings of the training, and the weights that it starts from; None for random ones.

        Raises:
            UserError: The model to start from cannot be read.
        """
        if not self.start_from:
            return self, None
        start = find_start(self.spec, self.start_from, model_run)
        if start is None:
            _logger.info(
                "%s: no member of %s is one of it, training from random weights", self.spec, self.start_from
            )
            return self, None
        training = self.training.warm()
        _logger.info("%s: %d steps from the weights of %s", self.spec, training.steps, start.place)
        return self.model_copy(update={"training": training}), start

    def directory(self, model_run: str, train_files: list[str], teacher: str | None = None) -> str:
        """Returns the directory that the run is trained in: its artifact, or `work_dir` until it is done.

        Args:
            model_run: Directory of the artifact.
            train_files: The files that are trained on.
            teacher: The fingerprint of a student's soft targets.
        """
        if not self.work_dir:
            return model_run
        # Of its fingerprint's name: what an earlier, different recipe left there is no obstacle.
        fingerprint = run_fingerprint(self.spec, self.training, train_files, teacher)
        if self.averaging is not None:  # and other snapshots are another run
            fingerprint = hashlib.sha256(f"{fingerprint}{self.snapshot_steps}".encode()).hexdigest()
        return posixpath.join(self.work_dir, fingerprint[:16])

    def chosen(self, train_files: list[str]) -> list[str]:
        """Returns the files of the train split that are trained on.

        Raises:
            UserError: There are fewer files than folds.
        """
        if self.fold is None:
            return train_files
        left_out, folds = self.fold
        if len(train_files) < folds:
            raise UserError(
                f"the train split has {len(train_files)} file(s) and teacher.folds is {folds}: choose fewer folds, or "
                "give more files"
            )
        return [path for index, path in enumerate(train_files) if index % folds != left_out]


def run_fn(fn_args: FnArgs) -> None:
    """Trains a variant and exports its last weights; TFX's Trainer calls this.

    It leaves `snapshots/` (those that the averager can use), `state/` (from which a killed run goes on) and
    TensorBoard's `logs/` in `model_run_dir`. A first half (`until`) leaves the GAP that it has reached there as well
    (see `HalfTimeResult`).

    Args:
        fn_args: The files, the directories and the `custom_config` of this Trainer (see `CustomConfig`).

    Raises:
        UserError: If `model_run_dir` holds the state of another run, or the model to start from cannot be read.
    """
    config = CustomConfig.model_validate(fn_args.custom_config)
    spec = config.spec
    config, start = config.started(fn_args.model_run_dir)
    train_files = config.chosen(_files(fn_args.train_files))
    eval_files = _files(fn_args.eval_files)
    directory = config.directory(fn_args.model_run_dir, train_files)
    keep_freed_memory()
    trained = train(
        spec,
        config.training,
        train_files,
        eval_files,
        directory,
        start=start and start.weights,
        until=config.until,
        snapshot_steps=config.snapshot_steps,
        on_allocated=lambda: use_huge_pages_for(spec),
    )
    steps = config.until or config.training.steps
    if config.until:
        measure_half_time(trained, config.until, eval_files, directory)
    member = Member(spec=spec, weights=trained.weights(), first_step=steps, last_step=steps, snapshots=1)
    write_saved_model(fn_args.serving_model_dir, [member])
    if config.work_dir:
        hand_over(directory, fn_args.model_run_dir, config.work_dir)


def hand_over(directory: str, target: str, work_dir: str) -> None:
    """Moves a finished run from `work_dir` to its artifact.

    If it is killed at any moment, or the power fails, `work_dir` holds the whole run or nothing of it. The next run
    would take half of the snapshots beside a finished state for all of them.

    Args:
        directory: Directory of the run, below `work_dir`.
        target: Directory of the artifact.
        work_dir: Local directory that is removed in the end.
    """
    shutil.copytree(directory, target, dirs_exist_ok=True, copy_function=_link)
    for parent, _, _ in os.walk(target):
        sync_path(parent)  # before the other names go: a loss of power takes either, not both
    done = f"{work_dir.rstrip('/')}.done"
    shutil.rmtree(done, ignore_errors=True)
    os.rename(work_dir, done)
    shutil.rmtree(done)


def _link(source: str, target: str) -> None:
    """Makes a hard link where the file system can, since snapshots are gigabytes; otherwise a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _files(patterns: list[str]) -> list[str]:
    return example_files(sorted(name for pattern in patterns for name in tf.io.gfile.glob(pattern)))
