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
from components.trainer.warm_start import find_start
from serving.export.saved_model import Member, write_saved_model
from trainer.base.files import sync_path
from trainer.base.memory import keep_freed_memory
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

    @property
    def spec(self) -> ModelSpec:
        """The model that is trained."""
        return ModelSpec.parse(self.variant, self.num_classes)

    @property
    def snapshot_steps(self) -> list[int]:
        """The steps of the snapshots that are written."""
        steps = self.training.snapshot_steps(self.until)
        return steps if self.averaging is None else needed_steps(self.averaging, steps)

    def directory(self, model_run: str, train_files: list[str]) -> str:
        """The directory that the run is trained in: its artifact, or `work_dir` until it is done."""
        if not self.work_dir:
            return model_run
        # Of its fingerprint's name: what an earlier, different recipe left there is no obstacle.
        fingerprint = run_fingerprint(self.spec, self.training, train_files)
        if self.averaging is not None:  # and other snapshots are another run
            fingerprint = hashlib.sha256(f"{fingerprint}{self.snapshot_steps}".encode()).hexdigest()
        return posixpath.join(self.work_dir, fingerprint[:16])


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
    start = find_start(spec, config.start_from, fn_args.model_run_dir) if config.start_from else None
    if start:
        config = config.model_copy(update={"training": config.training.warm()})
        _logger.info("%s: %d steps from the weights of %s", spec, config.training.steps, start.place)
    elif config.start_from:
        _logger.info(
            "%s: no member of %s is one of it, training from random weights", spec, config.start_from
        )
    train_files, eval_files = _files(fn_args.train_files), _files(fn_args.eval_files)
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
        snapshot_steps=config.snapshot_steps if config.averaging else None,
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
    return sorted(name for pattern in patterns for name in tf.io.gfile.glob(pattern))
