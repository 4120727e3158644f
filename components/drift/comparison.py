"""The differences between two sets of videos, by TFDV's comparators.

TFDV computes the Jensen-Shannon divergence of two features from their statistics. The statistics are made here of sums
that ExampleGen has kept, so that no video is read.
"""

from collections.abc import Mapping

import numpy as np
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from components.drift.report import FEATURES, ClassMove, Measure
from components.example_gen.distribution import Distribution
from serving.export.vocabulary import Vocabulary

_PERMUTATIONS = 20
_LISTED = 20
"""Classes that moved most, in a report."""

Histograms = Mapping[str, np.ndarray]
"""Counts by value: of classes, or of whole numbers from 0 on."""


def compare(
    new: Distribution, old: Distribution, thresholds: Mapping[str, float], *, skew: bool = False
) -> list[Measure]:
    """Measures how far videos differ from older ones.

    Args:
        new: The new videos, at least one.
        old: The older videos, at least one.
        thresholds: The largest value of each measure that is no drift: `classes`, `labels_per_video`, `frames`,
            `features`. Measures without one are left out. What samples of these sizes differ by chance is added.
        skew: See `divergences`.
    """
    histograms = ("classes", "labels_per_video", "frames")
    measures = divergences(
        {name: _counts(new, name) for name in histograms},
        {name: _counts(old, name) for name in histograms},
        {name: value for name, value in thresholds.items() if name in histograms},
        skew=skew,
    )
    if FEATURES in thresholds:
        by_chance = 1 / new.videos + 1 / old.videos  # the variance of the difference of two means
        threshold = float(np.sqrt(thresholds[FEATURES] ** 2 + by_chance))
        measures.append(Measure(name=FEATURES, value=_shift(new, old), threshold=threshold))
    return measures


def divergences(
    new: Histograms, old: Histograms, thresholds: Mapping[str, float], *, skew: bool = False
) -> list[Measure]:
    """Returns the Jensen-Shannon divergence, in bits, of each pair of histograms that has a threshold.

    Args:
        new: The new counts, by name.
        old: The older counts, by the same names.
        thresholds: The largest divergence that is no drift, by name; see `chance`.
        skew: Whether the new counts are what a server sees (TFDV's skew), and not a later span (TFDV's drift).
    """
    if not thresholds:
        return []
    import tensorflow_data_validation as tfdv

    schema = schema_pb2.Schema()
    for name, allowed in thresholds.items():
        threshold = min(1.0, allowed + chance(new[name], old[name]))
        feature = schema.feature.add(name=name, type=schema_pb2.BYTES)
        comparator = feature.skew_comparator if skew else feature.drift_comparator
        comparator.jensen_shannon_divergence.threshold = threshold
    given = {
        "serving_statistics" if skew else "previous_statistics": _statistics(new if skew else old, thresholds)
    }
    anomalies = tfdv.validate_statistics(_statistics(old if skew else new, thresholds), schema, **given)
    return [
        Measure(name=one.path.step[0], value=measured.value, threshold=measured.threshold)
        for one in sorted(anomalies.drift_skew_info, key=lambda one: list(thresholds).index(one.path.step[0]))
        for measured in _measurements(one, skew)
    ]


def chance(new: np.ndarray, old: np.ndarray) -> float:
    """Returns the largest Jensen-Shannon divergence, in bits, that chance explains.

    Everything that was counted is divided at random into two samples of these sizes, 20 times (a permutation test); it
    is the mean of their divergences and three standard deviations. The same counts give the same value.
    """
    generator = np.random.default_rng(0)
    pool, size = new + old, int(new.sum())
    drawn = generator.multivariate_hypergeometric(pool, size, _PERMUTATIONS, method="marginals")
    found = [_divergence(one, pool - one) for one in drawn]
    return float(np.mean(found) + 3 * np.std(found))


def _divergence(one: np.ndarray, other: np.ndarray) -> float:
    p, q = one / max(1, one.sum()), other / max(1, other.sum())
    middle = (p + q) / 2
    return sum(float(np.sum(x[x > 0] * np.log2(x[x > 0] / middle[x > 0]))) for x in (p, q)) / 2


def moved_classes(new: np.ndarray, old: np.ndarray, vocabulary: Vocabulary | None = None) -> list[ClassMove]:
    """Returns the classes whose share of all labels has changed most, by decreasing change.

    Args:
        new: int64 [V], new videos by class.
        old: int64 [V], older videos by class.
        vocabulary: Names of the classes.
    """
    now, before = new / max(1, new.sum()), old / max(1, old.sum())
    change = np.abs(now - before)
    order = np.argsort(-change, kind="stable")[:_LISTED]
    return [
        ClassMove(
            index=int(one),
            name=vocabulary and vocabulary.name(int(one)),
            before=float(before[one]),
            now=float(now[one]),
        )
        for one in order
        if change[one]
    ]


def _measurements(
    found: anomalies_pb2.DriftSkewInfo, skew: bool
) -> list[anomalies_pb2.DriftSkewInfo.Measurement]:
    return list(found.skew_measurements if skew else found.drift_measurements)


def _counts(distribution: Distribution, name: str) -> np.ndarray:
    if name == "frames":  # in tens: single numbers are mostly chance
        return np.add.reduceat(distribution.frames, range(0, len(distribution.frames), 10))
    return distribution.labels if name == "labels_per_video" else distribution.classes


def _statistics(
    histograms: Histograms, names: Mapping[str, float]
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Makes TFDV's statistics of features whose values are names of places in a histogram."""
    made = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = made.datasets.add(num_examples=max(int(histograms[name].sum()) for name in names))
    for name in names:
        counts = histograms[name]
        feature = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.STRING)
        feature.path.step.append(name)
        total = int(counts.sum())
        common = feature.string_stats.common_stats
        common.num_non_missing, common.tot_num_values = total, total
        common.min_num_values = common.max_num_values = 1
        feature.string_stats.unique = int(np.count_nonzero(counts))
        for rank, place in enumerate(np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)].tolist()):
            feature.string_stats.rank_histogram.buckets.add(
                low_rank=rank, high_rank=rank, label=str(place), sample_count=float(counts[place])
            )
    return made


def _shift(new: Distribution, old: Distribution) -> float:
    """The root mean square, over the dimensions, of the difference of the means in standard deviations of the old."""
    mean = old.sums / old.sampled
    deviation = np.sqrt(np.maximum(old.squares / old.sampled - mean**2, 1e-12))
    varies = deviation > 1e-3  # of 255: a dimension that is always the same says nothing
    difference = (new.sums / new.sampled - mean)[varies] / deviation[varies]
    return float(np.sqrt(np.mean(difference**2))) if varies.any() else 0.0
