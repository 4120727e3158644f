"""From a float32 SavedModel to the same in several stored forms, each measured."""

import logging
from collections.abc import Callable, Sequence

from components.compressor.report import FormRow, LadderReport
from serving.export.card import ModelCard
from serving.export.compression import compress
from serving.export.saved_model import Member, read_weights, write_saved_model
from serving.export.stored_form import StoredForm
from trainer.base.units import MIB
from trainer.data.input_pipeline import eval_batches
from trainer.metrics.scorer import Scorer, evaluate
from trainer.metrics.second_moments import second_moments

_logger = logging.getLogger("yt8m.compressor")

CALIBRATION_VIDEOS = 3000
"""Videos of the train split whose activations codecs round by."""
_BATCH = 64


def compress_ladder(
    source_dir: str,
    eval_files: Sequence[str],
    calibration_files: Sequence[str],
    forms: Sequence[StoredForm],
    directory_of: Callable[[int], str],
    calibration_videos: int = CALIBRATION_VIDEOS,
) -> LadderReport:
    """Writes a copy of a model of one member in each of several forms.

    Args:
        source_dir: A float32 SavedModel.
        eval_files: TFRecord files of the eval split, which every form is measured on.
        calibration_files: TFRecord files of the train split; the eval split would make the measurement too good.
        forms: The ladder, in the order in which it is written; at least one.
        directory_of: Gives the directory that the form of an index is written to.
        calibration_videos: The first so many videos of the train split are looked at; 0 means none, so codecs
            round each value by itself.

    Returns:
        What each form takes in bytes and costs in GAP.

    Raises:
        UserError: If the model is an ensemble, a weight has no stored form, or a form names a tensor that the model
            does not have.
    """
    card = ModelCard.load(source_dir)
    source = card.only_member(source_dir)
    spec = card.spec()
    weights = read_weights(source_dir)
    statistics, seen = {}, 0
    if calibration_videos:
        batches = eval_batches(calibration_files, _BATCH, spec.num_classes, limit=calibration_videos)
        statistics, seen = second_moments(spec, weights, batches)
        _logger.info("%s: looked at the activations of %d train videos", spec, seen)
    scorer = Scorer(spec)
    scorer.load(weights)
    before = evaluate(scorer, eval_files)
    rows = []
    for index, form in enumerate(forms):
        compressed = compress(spec, weights, form, statistics)
        # Decoded as the served model decodes it.
        scorer.load({name: value.decode() for name, value in compressed.items()})
        after = evaluate(scorer, eval_files)
        member = Member(
            spec=spec,
            weights=compressed,
            gap=after.gap,
            first_step=source.first_step,
            last_step=source.last_step,
            snapshots=source.snapshots,
        )
        written = write_saved_model(directory_of(index), [member])
        _logger.info(
            "%s: %.2f MiB in float32, %.2f in %s; GAP %.5f and %.5f on %d videos",
            *(spec, card.bytes / MIB, written.bytes / MIB, form, before.gap, after.gap, after.videos),
        )
        rows.append(
            FormRow(
                form=written.form().name,
                bytes=written.bytes,
                rate=1 - written.bytes / card.bytes,
                gap=after.gap,
                tensors=written.members[0].tensors,
            )
        )
    return LadderReport(
        variant=source.variant,
        float32_bytes=card.bytes,
        gap_float32=before.gap,
        videos=before.videos,
        calibration_videos=seen,
        forms=tuple(rows),
    )
