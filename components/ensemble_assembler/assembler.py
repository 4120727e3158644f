"""From models to the SavedModel of their best ensemble under a size limit, and the report."""

import logging
import tempfile
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from components.ensemble_assembler.analysis import analyse
from components.ensemble_assembler.ensemble import Ensemble, ModelEntry
from components.ensemble_assembler.exact import exact_gaps
from components.ensemble_assembler.prediction import predict_all
from components.ensemble_assembler.search import best_ensembles
from components.ensemble_assembler.selection import fitting_combinations, inferior_to
from components.evaluator.blessing import directory_bytes
from serving.export.card import ModelCard
from serving.export.saved_model import Member, read_stored, write_saved_model
from serving.export.vocabulary import Vocabulary
from serving.server.warmup import write_warmup
from trainer.base.errors import UserError
from trainer.base.units import MIB

_logger = logging.getLogger("yt8m.assembler")


def assemble(
    model_dirs: Sequence[str],
    eval_files: Sequence[str],
    target_dir: str,
    limit_bytes: int,
    vocabulary: Vocabulary | None = None,
) -> dict[str, Any]:
    """Writes the best weighted combination of models whose tensors, and whose directory, fit into a limit.

    Args:
        model_dirs: SavedModels of one member each, stored as they shall be in the ensemble.
        eval_files: TFRecord files of the eval split, on which members and weights are chosen.
        target_dir: Where the ensemble goes.
        limit_bytes: Largest size.
        vocabulary: Class names to be baked in.

    Returns:
        The report: {videos, limit_bytes, members: [{variant, bytes, gap, inferior_to}], combinations_fitting,
        ensembles: [{members, weights, bytes, gap}], analysis}, the written ensemble first, and of it the analysis
        (see `analyse`).

    Raises:
        UserError: If the models do not belong together, nothing fits the limit, or there is no video.
    """
    cards = [ModelCard.load(directory) for directory in model_dirs]
    _check_cards(model_dirs, cards)
    with tempfile.TemporaryDirectory(prefix="yt8m-scores-") as scratch:
        data = predict_all(model_dirs, cards, eval_files, scratch)
        gaps = exact_gaps(data, [((index,), (1.0,)) for index in range(len(cards))])
        models = [
            ModelEntry(variant=card.members[0].variant, bytes=card.bytes, gap=gap)
            for card, gap in zip(cards, gaps, strict=True)
        ]
        reasons = inferior_to(models)
        kept = [index for index, reason in enumerate(reasons) if reason is None]
        local = fitting_combinations([models[index].bytes for index in kept], limit_bytes)
        if not local:
            smallest = min(models, key=lambda model: model.bytes)
            raise UserError(
                f"no model fits into {limit_bytes} bytes, the smallest is {smallest.variant} with "
                f"{smallest.bytes}: raise ensemble.limit_mib or add a smaller variant"
            )
        _logger.info("%d of %d models stay, %d combinations fit", len(kept), len(models), len(local))
        combinations = [tuple(kept[index] for index in members) for members in local]
        ensembles = best_ensembles(data, combinations)
        written = _write_first_that_fits(
            model_dirs, cards, models, ensembles, target_dir, limit_bytes, vocabulary
        )
        analysis = analyse(data, written.members, written.weights, vocabulary)
    ordered = [written, *(ensemble for ensemble in ensembles if ensemble is not written)]
    return {
        "videos": data.videos,
        "limit_bytes": limit_bytes,
        "members": [
            {
                "variant": model.variant,
                "bytes": model.bytes,
                "gap": model.gap,
                "inferior_to": None if reason is None else models[reason].variant,
            }
            for model, reason in zip(models, reasons, strict=True)
        ],
        "combinations_fitting": len(combinations),
        "ensembles": [
            {
                "members": [models[index].variant for index in ensemble.members],
                "weights": list(ensemble.weights),
                "bytes": sum(models[index].bytes for index in ensemble.members),
                "gap": ensemble.gap,
            }
            for ensemble in ordered
        ],
        "analysis": analysis,
    }


def _check_cards(model_dirs: Sequence[str], cards: Sequence[ModelCard]) -> None:
    if not cards:
        raise UserError("there is no model to assemble: the recipe needs at least one variant")
    for directory, card in zip(model_dirs, cards, strict=True):
        if len(card.members) != 1:
            raise UserError(
                f"{directory}: a member must be a single model. Received: {len(card.members)} members"
            )
        if card.num_classes != cards[0].num_classes:
            raise UserError(
                f"{directory} has {card.num_classes} classes and {model_dirs[0]} {cards[0].num_classes}: only models "
                "of the same classes can be mixed"
            )


def _write_first_that_fits(
    model_dirs: Sequence[str],
    cards: Sequence[ModelCard],
    models: Sequence[ModelEntry],
    ensembles: Sequence[Ensemble],
    target_dir: str,
    limit_bytes: int,
    vocabulary: Vocabulary | None,
) -> Ensemble:
    """Writes the best ensemble; the graph counts too, so one at the very limit may have to make way."""
    for ensemble in ensembles:
        members = []
        for index, weight in zip(ensemble.members, ensemble.weights, strict=True):
            (source,) = cards[index].members
            members.append(
                Member(
                    spec=cards[index].spec(),
                    weights=read_stored(model_dirs[index]),
                    weight=weight,
                    gap=models[index].gap,
                    first_step=source.first_step,
                    last_step=source.last_step,
                    snapshots=source.snapshots,
                )
            )
        card = write_saved_model(target_dir, members, ensemble.gap, vocabulary)
        write_warmup(target_dir)
        size = directory_bytes(target_dir)
        names = " + ".join(f"{member.weight:g} {member.spec}" for member in members)
        if size <= limit_bytes:
            _logger.info("best ensemble: %s, %.2f MiB, GAP %.4f", names, card.bytes / MIB, ensemble.gap)
            return ensemble
        _logger.warning("%s: its directory takes %d bytes, over the limit of %d", names, size, limit_bytes)
        tf.io.gfile.rmtree(target_dir)
    raise UserError(
        f"no ensemble fits into {limit_bytes} bytes with its graph, the last one tried takes {size}: raise "
        "ensemble.limit_mib"
    )
