"""Where the chosen ensemble is good and where it is not: by class, by vertical, by its own confidence.

Legend: B videos of a block, V classes, G verticals.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from components.ensemble_assembler.ensemble import Combination
from components.ensemble_assembler.exact import mixed
from components.ensemble_assembler.score_file import EvalScores
from serving.export.vocabulary import Vocabulary
from trainer.metrics.calibration import Calibration
from trainer.metrics.video_metrics import VideoMetrics, top_pairs

LISTED = 50
"""Classes in each of the two lists, the best and the worst."""
_ENOUGH_LABELS = 10
"""The average precision of a class that is rarer in the eval split is mostly luck."""
_BLOCK = 512


def analyse(
    data: EvalScores,
    members: Combination,
    weights: Sequence[float],
    vocabulary: Vocabulary | None = None,
) -> dict[str, Any]:
    """One more pass over the scores, for the ensemble that was chosen.

    Args:
        data: Scores of all models and the labels.
        members: Of the ensemble.
        weights: One a member.
        vocabulary: Names and verticals of the classes.

    Returns:
        {classes: {measured, ranked, least_labels, best, worst}, calibration: {pairs, error, bins}, verticals:
        [{name, metrics}]}. Best and worst are up to 50 rows [{class, name, average_precision, labels}] of the
        `ranked` classes that have `least_labels` or more positive labels; `measured` is the number of classes
        with any. Calibration is that of the 20 best pairs of every video, which are what a server answers.
        A vertical's metrics are those of the videos with a label in it, the largest vertical first.
    """
    metrics, calibration = VideoMetrics(data.num_classes), Calibration()
    names, belongs = _verticals(vocabulary, data.num_classes)
    each = [VideoMetrics(data.num_classes) for _ in names]
    for start in range(0, data.videos, _BLOCK):
        labels = data.labels.rows(start, start + _BLOCK)
        scores = mixed([data.scores[member].rows(start, start + _BLOCK) for member in members], weights)
        metrics.update(scores, labels)
        calibration.update(*top_pairs(scores, labels)[1:])
        for index, metric in enumerate(each):
            rows = labels[:, belongs[:, index]].any(axis=1)
            metric.update(scores[rows], labels[rows])
    found = [(name, metric.result()) for name, metric in zip(names, each, strict=True) if metric.videos]
    bins = calibration.bins()
    return {
        "classes": _classes(*metrics.class_average_precisions(), vocabulary),
        "calibration": {
            "pairs": sum(one.pairs for one in bins),
            "error": calibration.error(),
            "bins": [dataclasses.asdict(one) for one in bins],
        },
        "verticals": [
            {"name": name, "metrics": dataclasses.asdict(result)}
            for name, result in sorted(found, key=lambda item: (-item[1].videos, item[0]))
        ],
    }


def _verticals(vocabulary: Vocabulary | None, num_classes: int) -> tuple[list[str], np.ndarray]:
    """Their names, and whether a class belongs to one: bool [V, G]."""
    of_class = {} if vocabulary is None else vocabulary.verticals
    names = sorted({name for verticals in of_class.values() for name in verticals})
    belongs = np.zeros((num_classes, len(names)), np.bool_)
    for index, verticals in of_class.items():
        if index < num_classes:
            belongs[index, [names.index(name) for name in verticals]] = True
    return names, belongs


def _classes(precisions: np.ndarray, labels: np.ndarray, vocabulary: Vocabulary | None) -> dict[str, Any]:
    """The two lists; where few classes are common enough, of those that are most common."""
    most = np.sort(labels)[::-1]
    least = int(max(1, min(_ENOUGH_LABELS, most[min(2 * LISTED, len(most)) - 1])))
    ranked = np.flatnonzero(labels >= least)
    # Of classes of one average precision the one with more labels says more.
    order = ranked[np.lexsort((ranked, -labels[ranked], -precisions[ranked]))]
    half = min(LISTED, (len(order) + 1) // 2)

    def rows(classes: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "class": int(index),
                "name": None if vocabulary is None else vocabulary.name(int(index)),
                "average_precision": float(precisions[index]),
                "labels": int(labels[index]),
            }
            for index in classes
        ]

    return {
        "measured": int((labels > 0).sum()),
        "ranked": len(order),
        "least_labels": least,
        "best": rows(order[:half]),
        "worst": rows(order[half:][::-1][:LISTED]),
    }
