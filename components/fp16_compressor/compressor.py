"""From a float32 SavedModel to the same with its big tensors stored by a codec, measured before and after."""

import logging
import math
from collections.abc import Sequence

from components.fp16_compressor.report import CompressionReport
from serving.export.card import ModelCard
from serving.export.codecs import FLOAT16, Codec
from serving.export.compression import compress
from serving.export.saved_model import Member, read_weights, write_saved_model
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.metrics.scorer import Scorer, evaluate
from trainer.metrics.video_metrics import Metrics
from trainer.model.model_spec import ModelSpec

_logger = logging.getLogger("yt8m.compressor")

PAPER_VIDEOS = 17_600
"""Videos of the paper's evaluation set, on which GAP changed by less than 0.0001."""
TOLERANCE = 1e-4
"""Largest change of GAP on so many videos."""


def allowed_change(tolerance: float, videos: int) -> float:
    """Returns the tolerance on a smaller eval split: GAP's noise falls with the root of the number of videos.

    >>> allowed_change(1e-4, 4400)
    0.0002
    """
    return tolerance * max(1.0, math.sqrt(PAPER_VIDEOS / videos))


def compress_model(
    source_dir: str,
    eval_files: Sequence[str],
    target_dir: str,
    tolerance: float = TOLERANCE,
    codec: Codec = FLOAT16,
) -> CompressionReport:
    """Writes a copy of a model of one member with its compressible tensors stored by a codec.

    Args:
        source_dir: Directory of a float32 SavedModel of one member.
        eval_files: TFRecord files of the eval split.
        target_dir: Directory that the compressed SavedModel is written to.
        tolerance: Largest change of GAP that is allowed on 17,600 videos.
        codec: The codec that stores the compressible tensors.

    Returns:
        Size and GAP before and after.

    Raises:
        UserError: If the model is an ensemble, a weight has no stored form, or GAP changes by more than
            `allowed_change`.
    """
    card = ModelCard.load(source_dir)
    source = card.only_member(source_dir)
    spec = card.spec()
    weights = read_weights(source_dir)
    compressed = compress(spec, weights, codec)
    scorer = Scorer(spec)
    scorer.load(weights)
    before = evaluate(scorer, eval_files)
    del weights
    # Decoded as the served model decodes it.
    scorer.load({name: value.decode() for name, value in compressed.items()})
    after = evaluate(scorer, eval_files)
    del scorer
    check_gap(spec, codec, before, after, tolerance)
    member = Member(
        spec=spec,
        weights=compressed,
        gap=after.gap,
        first_step=source.first_step,
        last_step=source.last_step,
        snapshots=source.snapshots,
    )
    written = write_saved_model(target_dir, [member])
    _logger.info(
        "%s: %.2f MiB in float32, %.2f in %s; GAP %.5f and %.5f on %d videos",
        *(spec, card.bytes / MIB, written.bytes / MIB, codec, before.gap, after.gap, after.videos),
    )
    return CompressionReport(
        variant=source.variant,
        encoding=codec.name,
        float32_bytes=card.bytes,
        stored_bytes=written.bytes,
        rate=1 - written.bytes / card.bytes,
        gap_float32=before.gap,
        gap_stored=after.gap,
        videos=after.videos,
        tolerance=tolerance,
        tensors=written.members[0].tensors,
    )


def check_gap(spec: ModelSpec, codec: Codec, before: Metrics, after: Metrics, tolerance: float) -> None:
    """Raises UserError when GAP before and after compression differs by more than is allowed."""
    change, allowed = after.gap - before.gap, allowed_change(tolerance, after.videos)
    if abs(change) > allowed:
        raise UserError(
            f"{spec}: {codec} changes GAP by {change:+.6f}, from {before.gap:.6f} to {after.gap:.6f} on "
            f"{after.videos} videos, where {allowed:.6f} is allowed: raise compression.tolerance "
            f"({tolerance:g} on {PAPER_VIDEOS} videos), evaluate on more videos, or leave the variant out"
        )
