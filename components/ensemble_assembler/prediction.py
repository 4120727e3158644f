"""Predicts the eval split with every model once."""

import logging
import os
from collections.abc import Sequence

import numpy as np

from components.ensemble_assembler.score_file import EvalScores, ScoreFile
from serving.export.card import ModelCard
from serving.export.saved_model import read_weights
from trainer.base.errors import UserError
from trainer.data.input_pipeline import eval_batches
from trainer.metrics.scorer import Scorer

_logger = logging.getLogger("yt8m.assembler")

_BATCH = 128


def predict_all(
    model_dirs: Sequence[str], cards: Sequence[ModelCard], eval_files: Sequence[str], scratch: str
) -> EvalScores:
    """Writes the scores of every model and the labels to files.

    Args:
        model_dirs: Directories of SavedModels of one member each.
        cards: The model cards of these SavedModels, in the same order.
        eval_files: TFRecord files of the eval split.
        scratch: Local directory for the files, which take 4 bytes for each model, video and class.

    Raises:
        UserError: If there is no video.
    """
    num_classes = cards[0].num_classes
    labels = ScoreFile.write(
        os.path.join(scratch, "labels"),
        (batch["labels"] for batch in eval_batches(eval_files, _BATCH, num_classes)),
        num_classes,
        np.bool_,
    )
    if not labels.videos:
        raise UserError("the eval split has no video: give the recipe's data section more validate files")
    scores = []
    scorer = None
    for index, (directory, card) in enumerate(zip(model_dirs, cards, strict=True)):
        _logger.info("predicting %d videos with %s", labels.videos, card.members[0].variant)
        # The forms of a model follow each other: its graph is built once for all of them.
        if scorer is None or scorer.spec != card.spec():
            scorer = Scorer(card.spec())
        scorer.load(read_weights(directory))
        found = map(scorer.scores, eval_batches(eval_files, _BATCH, num_classes))
        path = os.path.join(scratch, f"scores-{index}")
        scores.append(ScoreFile.write(path, found, num_classes, np.float32))
    return EvalScores(tuple(scores), labels)
