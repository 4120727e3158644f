"""Exact metrics of ensembles from the full scores; one pass over the files for all of them.

Legend: B videos of a block, V classes, k = 20 pairs a video.
"""

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import BinaryIO

import numpy as np

from components.ensemble_assembler.ensemble import Combination
from components.ensemble_assembler.score_file import EvalScores
from trainer.metrics.video_metrics import gap, top_pairs

_BLOCK = 512
_PAIR = np.dtype([("confidence", np.float32), ("hit", np.bool_)])


def exact_gaps(data: EvalScores, ensembles: Sequence[tuple[Combination, Sequence[float]]]) -> list[float]:
    """Returns the GAP of each ensemble (members and weights) on all videos and classes.

    The pairs that count wait beside the scores in a file an ensemble, so that memory holds those of one at a time.
    """
    used = sorted({member for members, _ in ensembles for member in members})
    positives = 0
    with ExitStack() as stack:
        scratch = os.path.dirname(data.labels.path)
        files = [stack.enter_context(tempfile.TemporaryFile(dir=scratch)) for _ in ensembles]
        for start in range(0, data.videos, _BLOCK):
            labels = data.labels.rows(start, start + _BLOCK)
            positives += int(labels.sum())
            scores = {member: data.scores[member].rows(start, start + _BLOCK) for member in used}
            for file, (members, weights) in zip(files, ensembles, strict=True):
                _, confidences, hits = top_pairs(
                    mixed([scores[member] for member in members], weights), labels
                )
                pairs = np.empty(hits.shape, _PAIR)
                pairs["confidence"], pairs["hit"] = confidences, hits
                pairs.tofile(file)
        return [_gap(file, positives) for file in files]


def _gap(file: BinaryIO, positives: int) -> float:
    file.seek(0)
    pairs = np.fromfile(file, _PAIR)
    return gap(pairs["confidence"].copy(), pairs["hit"].copy(), positives)


def mixed(scores: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Returns the weighted sum of float32 arrays of one shape, in float32, as the served graph has it."""
    total = scores[0] * np.float32(weights[0])
    for score, weight in zip(scores[1:], weights[1:], strict=True):
        total += score * np.float32(weight)
    return total
