"""From the run of a first half to that of the whole training."""

import logging
import os
import posixpath
import shutil
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from components.trainer.run_fn import CustomConfig, hand_over
from trainer.base.files import is_local
from trainer.training.loop import LOGS, SNAPSHOTS, STATE, train

_logger = logging.getLogger("yt8m.train")


def train_second_half(
    config: CustomConfig,
    train_files: Sequence[str],
    eval_files: Sequence[str],
    first_half: str,
    verdicts: dict[str, Any],
    model_run: str,
) -> None:
    """Trains what is left, from the state at half time; a variant that was stopped keeps what it has.

    The weights are those of a training in one piece, bit for bit on CPUs. Killed at any moment, it goes on from its own
    last state.

    Args:
        config: Of the whole training.
        train_files: Of the train split, as the first half had them.
        eval_files: Of the eval split.
        first_half: Directory of the first half's run.
        verdicts: The report of HalfTime.
        model_run: Directory that receives the whole run: snapshots, state and logs of both halves.

    Raises:
        UserError: If the first half is that of other settings or data.
    """
    directory = config.directory(model_run, list(train_files))
    if not tf.io.gfile.glob(posixpath.join(directory, STATE, "*.index")):
        _take_over(first_half, directory)
    (verdict,) = (one for one in verdicts["variants"] if one["variant"] == config.variant)
    if verdict["stopped_for"]:
        _logger.info(
            "%s: stopped at step %d with GAP %.4f: %s is smaller and was better there",
            config.variant, verdict["step"], verdict["gap"], verdict["stopped_for"],
        )  # fmt: skip
    else:
        train(config.spec, config.training, train_files, eval_files, directory)
    if config.work_dir:
        hand_over(directory, model_run, config.work_dir)


def _take_over(source: str, target: str) -> None:
    """Copies a run; the index of its state, by which it counts as whole, comes last."""
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
