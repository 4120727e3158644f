"""From a SavedModel of ours to the same in another stored form."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import tensorflow as tf

from serving.export.card import ModelCard
from serving.export.class_names import ASSET
from serving.export.compression import compress
from serving.export.saved_model import Member, read_weights, write_saved_model
from serving.export.stored_form import StoredForm
from serving.export.vocabulary import Vocabulary
from serving.inference.scoring import frames_of
from serving.server.models.warmup import write_warmup
from trainer.base.batches import batched
from trainer.base.errors import UserError
from trainer.data.input_pipeline import Batch
from trainer.data.records import valid_videos
from trainer.metrics.second_moments import second_moments

_BATCH = 64


def recompress(
    source_dir: str,
    target_dir: str,
    form: StoredForm,
    calibration_files: Sequence[str] = (),
    calibration_videos: int = 3000,
) -> tuple[ModelCard, int]:
    """Writes a copy of a model, a single one or an ensemble, with its big tensors in another form.

    Weights of the members, class names, and what the card says of the training stay; GAP has to be measured anew.

    Args:
        source_dir: A SavedModel of ours.
        target_dir: Directory of the copy.
        form: Stored form of the big tensors of all members.
        calibration_files: YT-8M files, frame level or video level, that codecs round by; none: each value is
            rounded by itself.
        calibration_videos: The first so many of their valid videos are looked at.

    Returns:
        The copy's card and the number of videos that were looked at.

    Raises:
        UserError: If it is no model of ours, a value has no stored form, or the files have no valid video.
    """
    card = ModelCard.load(source_dir)
    members, seen = [], 0
    for index, source in enumerate(card.members):
        spec, weights = card.spec(index), read_weights(source_dir, index)
        statistics = {}
        if calibration_files:
            statistics, seen = second_moments(
                spec, weights, _batches(calibration_files, card.num_classes, calibration_videos)
            )
            if not seen:
                raise UserError(
                    f"there is no valid video in {', '.join(calibration_files[:3])}: see yt8m data check"
                )
        members.append(
            Member(
                spec=spec,
                weights=compress(spec, weights, form, statistics),
                weight=source.weight,
                first_step=source.first_step,
                last_step=source.last_step,
                snapshots=source.snapshots,
            )
        )
    names = os.path.join(source_dir, "assets", ASSET)
    vocabulary = Vocabulary.load(names) if tf.io.gfile.exists(names) else None
    written = write_saved_model(target_dir, members, vocabulary=vocabulary)
    write_warmup(target_dir)
    return written, seen


def _batches(files: Sequence[str], num_classes: int, limit: int) -> Iterator[Batch]:
    videos = valid_videos(files, num_classes, lambda reject: None)
    for some in batched(islice(videos, limit), _BATCH):
        frames = frames_of(some, num_classes)
        yield {
            "frames": np.concatenate([frames["rgb"].numpy(), frames["audio"].numpy()], axis=-1),
            "num_frames": frames["num_frames"].numpy(),
        }
