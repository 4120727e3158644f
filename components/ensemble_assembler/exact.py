"""Exact metrics of ensembles from the full scores; one pass over the files for all of them.

Legend: B videos of a block, V classes.
"""

from collections.abc import Sequence

import numpy as np

from components.ensemble_assembler.ensemble import Combination
from components.ensemble_assembler.score_file import EvalScores
from trainer.metrics import VideoMetrics

_BLOCK = 512


def exact_gaps(data: EvalScores, ensembles: Sequence[tuple[Combination, Sequence[float]]]) -> list[float]:
    """GAP of each ensemble (members and weights) on all videos and classes."""
    metrics = [VideoMetrics(data.num_classes) for _ in ensembles]
    used = sorted({member for members, _ in ensembles for member in members})
    for start in range(0, data.videos, _BLOCK):
        labels = data.labels.rows(start, start + _BLOCK)
        scores = {member: data.scores[member].rows(start, start + _BLOCK) for member in used}
        for metric, (members, weights) in zip(metrics, ensembles, strict=True):
            metric.update(mixed([scores[member] for member in members], weights), labels)
    return [metric.gap() for metric in metrics]


def mixed(scores: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """The weighted sum of float32 arrays of one shape, in float32, as the served graph has it."""
    total = scores[0] * np.float32(weights[0])
    for score, weight in zip(scores[1:], weights[1:], strict=True):
        total += score * np.float32(weight)
    return total
