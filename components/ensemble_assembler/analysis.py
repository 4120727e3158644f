"""Where the chosen ensemble is good and where it is not: by class, by vertical, by its own confidence.

Legend: B videos of a block, V classes, G verticals.
"""

from collections.abc import Sequence

import numpy as np

from components.ensemble_assembler.ensemble import Combination
from components.ensemble_assembler.exact import mixed
from components.ensemble_assembler.report import Analysis, CalibrationCurve, ClassLists, ClassRow, VerticalRow
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
) -> Analysis:
    """Measures the chosen ensemble by class, by vertical and by its own confidence, in one pass over the scores.

    Args:
        data: Scores of all models, float32 [videos, V] each, and the labels, bool [videos, V].
        members: Indices of the ensemble's members into `data.scores`.
        weights: The weight of each member; their sum is 1.
        vocabulary: Names and verticals of the classes; None for no names and no verticals.

    Returns:
        The best and worst classes, the calibration of the 20 best classes of every video, which are what a server
        answers, and the metrics of each vertical.
    """
    metrics, calibration = VideoMetrics(data.num_classes), Calibration()
    predicted = np.zeros(data.num_classes)
    names, belongs = _verticals(vocabulary, data.num_classes)
    each = [VideoMetrics(data.num_classes) for _ in names]
    for start in range(0, data.videos, _BLOCK):
        labels = data.labels.rows(start, start + _BLOCK)
        scores = mixed([data.scores[member].rows(start, start + _BLOCK) for member in members], weights)
        metrics.update(scores, labels)
        classes, confidences, hits = top_pairs(scores, labels)
        calibration.update(confidences, hits)
        predicted += np.bincount(classes.ravel(), weights=confidences.ravel(), minlength=data.num_classes)
        for index, metric in enumerate(each):
            rows = labels[:, belongs[:, index]].any(axis=1)
            metric.update(scores[rows], labels[rows])
    found = [(name, metric.result()) for name, metric in zip(names, each, strict=True) if metric.videos]
    bins = calibration.bins()
    return Analysis(
        classes=_classes(*metrics.class_average_precisions(), vocabulary),
        calibration=CalibrationCurve(
            pairs=sum(one.pairs for one in bins), error=calibration.error(), bins=tuple(bins)
        ),
        verticals=tuple(
            VerticalRow(name=name, metrics=result)
            for name, result in sorted(found, key=lambda item: (-item[1].videos, item[0]))
        ),
        predicted={int(one): round(float(predicted[one]), 6) for one in np.flatnonzero(predicted >= 1e-6)},
    )


def _verticals(vocabulary: Vocabulary | None, num_classes: int) -> tuple[list[str], np.ndarray]:
    """The names of the verticals, and which classes belong to each: bool [V, G]."""
    of_class = {} if vocabulary is None else vocabulary.verticals
    names = sorted({name for verticals in of_class.values() for name in verticals})
    belongs = np.zeros((num_classes, len(names)), np.bool_)
    for index, verticals in of_class.items():
        if index < num_classes:
            belongs[index, [names.index(name) for name in verticals]] = True
    return names, belongs


def _classes(precisions: np.ndarray, labels: np.ndarray, vocabulary: Vocabulary | None) -> ClassLists:
    """Ranks the classes that have enough labels or, where these are few, the classes that have the most."""
    most = np.sort(labels)[::-1]
    least = int(max(1, min(_ENOUGH_LABELS, most[min(2 * LISTED, len(most)) - 1])))
    ranked = np.flatnonzero(labels >= least)
    # Of classes of one average precision the one with more labels says more.
    order = ranked[np.lexsort((ranked, -labels[ranked], -precisions[ranked]))]
    half = min(LISTED, (len(order) + 1) // 2)

    def rows(classes: np.ndarray) -> tuple[ClassRow, ...]:
        return tuple(
            ClassRow(
                index=int(index),
                name=None if vocabulary is None else vocabulary.name(int(index)),
                average_precision=float(precisions[index]),
                labels=int(labels[index]),
            )
            for index in classes
        )

    return ClassLists(
        measured=int((labels > 0).sum()),
        ranked=len(order),
        least_labels=least,
        best=rows(order[:half]),
        worst=rows(order[half:][::-1][:LISTED]),
    )
