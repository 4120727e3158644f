"""Training the other half of a variant's steps."""

import logging
import os
import posixpath
import shutil
from collections.abc import Sequence

import tensorflow as tf

from components.half_time.report import HalfTimeReport
from components.trainer.run_fn import CustomConfig, hand_over
from trainer.base.files import is_local
from trainer.base.memory import keep_freed_memory
from trainer.checkpoints.snapshots import list_snapshots
from trainer.training.huge_pages import use_huge_pages_for
from trainer.training.loop import LOGS, SNAPSHOTS, STATE, train

_logger = logging.getLogger("yt8m.train")


def train_second_half(
    config: CustomConfig,
    train_files: Sequence[str],
    eval_files: Sequence[str],
    first_half: str,
    verdicts: HalfTimeReport,
    model_run: str,
) -> None:
    """Trains the steps that are left, from the state at half time; a variant that was stopped keeps what it has.

    On CPUs the weights are those of a training in one piece, bit for bit. A training that was killed goes on
    from its own last state.

    Args:
        config: Settings of the whole training.
        train_files: TFRecord files of the train split, the same that the first half was trained on.
        eval_files: TFRecord files of the eval split.
        first_half: Directory of the first half's run.
        verdicts: The verdicts of HalfTime, one of which is on this variant.
        model_run: Directory that receives the whole run: snapshots, state and logs of both halves.

    Raises:
        UserError: If the first half was trained with other settings or on other data.
    """
    directory = config.directory(model_run, list(train_files))
    if not tf.io.gfile.glob(posixpath.join(directory, STATE, "*.index")):
        _take_over(first_half, directory)
    verdict = verdicts.verdict_on(config.variant)
    whole = bool(list_snapshots(posixpath.join(directory, SNAPSHOTS)))
    if verdict.stopped_for:
        _logger.info(
            "%s: stopped at step %d with GAP %.4f: %s is smaller and was better there",
            config.variant, verdict.step, verdict.gap, verdict.stopped_for,
        )  # fmt: skip
    if not (verdict.stopped_for and whole):
        keep_freed_memory()
        train(
            config.spec,
            config.training,
            train_files,
            eval_files,
            directory,
            until=verdict.step if verdict.stopped_for else None,
            on_allocated=lambda: use_huge_pages_for(config.spec),
        )
    if config.work_dir:
        hand_over(directory, model_run, config.work_dir)


def _take_over(source: str, target: str) -> None:
    """Copies a run. The index of its state comes last: a run that has it counts as whole.

    A run whose snapshots were removed is not copied: it is trained once more.
    """
    if not list_snapshots(posixpath.join(source, SNAPSHOTS)):
        return
    for part in (SNAPSHOTS, LOGS, STATE):
        tf.io.gfile.makedirs(posixpath.join(target, part))
        if not tf.io.gfile.isdir(posixpath.join(source, part)):
            continue
        # In a bucket, names of directories end with a slash, the marker of the directory itself included.
        names = (n for n in tf.io.gfile.listdir(posixpath.join(source, part)) if n and not n.endswith("/"))
        for name in sorted(names, key=lambda name: (name.endswith(".index"), name)):
            _copy(posixpath.join(source, part, name), posixpath.join(target, part, name))


def _copy(source: str, target: str) -> None:
    """A hard link where the file system can: no file of a run is written again once it is there."""
    if is_local(source) and is_local(target):
        if os.path.exists(target):  # of an attempt that was killed
            os.remove(target)
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)
    else:
        tf.io.gfile.copy(source, target, overwrite=True)
