"""From models to the SavedModel of their best ensemble under a size limit, and the report."""

import dataclasses
import logging
import math
import tempfile
from collections.abc import Sequence

import tensorflow as tf

from components.ensemble_assembler.analysis import analyse
from components.ensemble_assembler.ensemble import Combination, Ensemble, ModelEntry
from components.ensemble_assembler.exact import exact_gaps
from components.ensemble_assembler.prediction import predict_all
from components.ensemble_assembler.promising import promising_combinations
from components.ensemble_assembler.report import EnsembleReport, EnsembleRow, ModelRow
from components.ensemble_assembler.score_file import EvalScores
from components.ensemble_assembler.search import best_ensembles
from components.ensemble_assembler.selection import inferior_to, needless_forms
from components.evaluator.blessing import directory_bytes
from serving.export.card import ModelCard
from serving.export.saved_model import Member, read_stored, write_saved_model
from serving.export.vocabulary import Vocabulary
from serving.server.models.warmup import write_warmup
from trainer.base.errors import UserError
from trainer.base.units import MIB

_logger = logging.getLogger("yt8m.assembler")


def assemble(
    model_dirs: Sequence[Sequence[str]],
    eval_files: Sequence[str],
    target_dir: str,
    limit_bytes: int,
    vocabulary: Vocabulary | None = None,
    names: Sequence[str] | None = None,
) -> EnsembleReport:
    """Writes the best weighted combination of models whose tensors, and whose directory, fit into a limit.

    Args:
        model_dirs: For each model its SavedModels of one member, one in each stored form.
        eval_files: TFRecord files of the eval split, on which members, forms and weights are chosen.
        target_dir: Directory that the SavedModel of the ensemble is written to.
        limit_bytes: Largest size of the ensemble, of its tensors as stored and of its directory.
        vocabulary: Names of the classes, which the ensemble will answer with; None for numbers only.
        names: What the report calls each model; None for the names of their architectures. Models of the same
            architecture, such as a student and one of its teachers, are told apart by it.

    Returns:
        The models in all their forms, the best ensembles with the written one first, and the analysis of the written
        one.

    Raises:
        UserError: If the models do not belong together, nothing fits the limit, or there is no video.
    """
    directories = [directory for forms in model_dirs for directory in forms]
    cards = [ModelCard.load(directory) for directory in directories]
    _check_cards(directories, cards)
    owners = [model for model, forms in enumerate(model_dirs) for _ in forms]
    entries = [
        _entry(card, owner, names[owner] if names else None)
        for card, owner in zip(cards, owners, strict=True)
    ]
    # Before anything is predicted: every form costs a pass over the eval split and 4 bytes a video and class.
    needless = needless_forms(entries)
    kept = [index for index, reason in enumerate(needless) if reason is None]
    with tempfile.TemporaryDirectory(prefix="yt8m-scores-") as scratch:
        data = predict_all(
            [directories[index] for index in kept], [cards[index] for index in kept], eval_files, scratch
        )
        for index, gap in zip(
            kept, exact_gaps(data, [((place,), (1.0,)) for place in range(len(kept))]), strict=True
        ):
            entries[index] = dataclasses.replace(entries[index], gap=gap)
        models = [entries[index] for index in kept]
        reasons = inferior_to(models)
        combinations = _combinations(data, models, reasons, limit_bytes)
        ensembles = best_ensembles(data, combinations)
        written = _write_first_that_fits(
            [directories[index] for index in kept],
            [cards[index] for index in kept],
            *(models, ensembles, target_dir, limit_bytes, vocabulary),
        )
        analysis = analyse(data, written.members, written.weights, vocabulary)
    better: dict[int, ModelEntry] = {
        **{index: entries[other] for index, other in enumerate(needless) if other is not None},
        **{kept[place]: models[other] for place, other in enumerate(reasons) if other is not None},
    }
    ordered = [written, *(ensemble for ensemble in ensembles if ensemble is not written)]
    return EnsembleReport(
        videos=data.videos,
        limit_bytes=limit_bytes,
        members=tuple(
            ModelRow(
                variant=entry.variant,
                form=entry.form,
                bytes=entry.bytes,
                gap=entry.gap,
                inferior_to=better[index].variant if index in better else None,
                inferior_to_form=better[index].form if index in better else None,
            )
            for index, entry in enumerate(entries)
        ),
        combinations_fitting=len(combinations),
        ensembles=tuple(
            EnsembleRow(
                members=tuple(models[index].variant for index in ensemble.members),
                forms=tuple(models[index].form for index in ensemble.members),
                weights=ensemble.weights,
                bytes=sum(models[index].bytes for index in ensemble.members),
                gap=ensemble.gap,
            )
            for ensemble in ordered
        ),
        analysis=analysis,
    )


def _entry(card: ModelCard, model: int, name: str | None) -> ModelEntry:
    """Makes an entry with the GAP that the compressor measured; without one a form cannot be left out unseen."""
    (member,) = card.members
    spec = card.spec()
    return ModelEntry(
        variant=name or member.variant,
        form=card.form().name,
        bytes=card.bytes,
        gap=math.nan if member.gap is None else member.gap,
        model=model,
        architecture=spec.architecture,
    )


def _combinations(
    data: EvalScores, models: Sequence[ModelEntry], reasons: Sequence[int | None], limit_bytes: int
) -> list[Combination]:
    """The combinations to be searched, of the models that no other makes superfluous."""
    kept = [index for index, reason in enumerate(reasons) if reason is None]
    combinations = promising_combinations(data, models, kept, limit_bytes)
    if not combinations:
        smallest = min(models, key=lambda model: model.bytes)
        raise UserError(
            f"no model fits into {limit_bytes} bytes, the smallest is {smallest.variant} with "
            f"{smallest.bytes}: raise ensemble.limit_mib or add a smaller variant"
        )
    _logger.info(
        "%d of %d models stay, %d combinations are searched", len(kept), len(models), len(combinations)
    )
    return combinations


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
        names = " + ".join(
            f"{member.weight:g} {models[index].variant} ({models[index].form})"
            for index, member in zip(ensemble.members, members, strict=True)
        )
        if size <= limit_bytes:
            _logger.info("best ensemble: %s, %.2f MiB, GAP %.4f", names, card.bytes / MIB, ensemble.gap)
            return ensemble
        _logger.warning("%s: its directory takes %d bytes, over the limit of %d", names, size, limit_bytes)
        tf.io.gfile.rmtree(target_dir)
    raise UserError(
        f"no ensemble fits into {limit_bytes} bytes with its graph, the last one tried takes {size}: raise "
        "ensemble.limit_mib"
    )
