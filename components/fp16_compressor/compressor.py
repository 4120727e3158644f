"""From a float32 SavedModel to the same with float16 storage, measured before and after."""

import logging
import math
from collections.abc import Sequence
from typing import Any

from serving.card import ModelCard
from serving.compression import to_float16
from serving.saved_model import Member, read_weights, write_saved_model
from trainer.errors import UserError
from trainer.metrics import Metrics
from trainer.scorer import Scorer, evaluate
from trainer.variant import MIB, Variant
from trainer.weights import Arrays

_logger = logging.getLogger("yt8m.compressor")

PAPER_VIDEOS = 17_600
"""Videos of the paper's evaluation set, on which GAP changed by less than 0.0001."""
TOLERANCE = 1e-4
"""Largest change of GAP on so many videos."""


def allowed_change(tolerance: float, videos: int) -> float:
    """The tolerance on a smaller eval split: GAP's noise falls with the root of the number of videos.

    >>> allowed_change(1e-4, 4400)
    0.0002
    """
    return tolerance * max(1.0, math.sqrt(PAPER_VIDEOS / videos))


def compress_model(
    source_dir: str, eval_files: Sequence[str], target_dir: str, tolerance: float = TOLERANCE
) -> dict[str, Any]:
    """Writes a copy of a model of one member with the four big tensors in float16.

    Args:
        source_dir: A float32 SavedModel.
        eval_files: TFRecord files of the eval split.
        target_dir: Where the copy goes.
        tolerance: Largest change of GAP on 17,600 videos.

    Returns:
        The report: {variant, float32_bytes, float16_bytes, rate, gap_float32, gap_float16, videos, tolerance,
        tensors: [{name, shape, dtype}]}; rate is the share of bytes saved.

    Raises:
        UserError: If the model is an ensemble, a weight does not fit into float16, or GAP changes by more
            than `allowed_change`.
    """
    card = ModelCard.load(source_dir)
    if len(card.members) != 1:
        raise UserError(
            f"{source_dir}: only a single model is compressed. Received: one of {len(card.members)} members"
        )
    (source,) = card.members
    variant = Variant.parse(source.variant)
    weights = read_weights(source_dir)
    compressed = to_float16(variant, weights, card.num_classes, card.num_mixtures)
    before, after = _measure(card, variant, [weights, compressed], eval_files)
    del weights
    check_gap(variant, before, after, tolerance)
    member = Member(
        variant=variant,
        weights=compressed,
        gap=after.gap,
        first_step=source.first_step,
        last_step=source.last_step,
        snapshots=source.snapshots,
    )
    written = write_saved_model(target_dir, [member], card.num_classes, card.num_mixtures)
    _logger.info(
        "%s: %.2f MiB in float32, %.2f in float16; GAP %.5f and %.5f on %d videos",
        *(variant, card.bytes / MIB, written.bytes / MIB, before.gap, after.gap, after.videos),
    )
    return {
        "variant": source.variant,
        "float32_bytes": card.bytes,
        "float16_bytes": written.bytes,
        "rate": 1 - written.bytes / card.bytes,
        "gap_float32": before.gap,
        "gap_float16": after.gap,
        "videos": after.videos,
        "tolerance": tolerance,
        "tensors": [tensor.model_dump(mode="json") for tensor in written.members[0].tensors],
    }


def check_gap(variant: Variant, before: Metrics, after: Metrics, tolerance: float) -> None:
    """UserError when GAP before and after compression differs by more than is allowed."""
    change, allowed = after.gap - before.gap, allowed_change(tolerance, after.videos)
    if abs(change) > allowed:
        raise UserError(
            f"{variant}: float16 changes GAP by {change:+.6f}, from {before.gap:.6f} to {after.gap:.6f} on "
            f"{after.videos} videos, where {allowed:.6f} is allowed: raise compression.tolerance "
            f"({tolerance:g} on {PAPER_VIDEOS} videos), evaluate on more videos, or leave the variant out"
        )


def _measure(
    card: ModelCard, variant: Variant, models: Sequence[Arrays], eval_files: Sequence[str]
) -> list[Metrics]:
    """Metrics of several weights of one network; the scorer decodes float16 as the served model does."""
    scorer = Scorer(variant, card.num_classes, card.num_mixtures)
    results = []
    for weights in models:
        scorer.load(weights)
        results.append(evaluate(scorer, eval_files))
    return results
