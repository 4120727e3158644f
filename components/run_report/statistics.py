"""What TFX's StatisticsGen and ExampleValidator found in the summaries of the videos."""

import posixpath
from typing import Any

from tensorflow_metadata.proto.v0.anomalies_pb2 import Anomalies
from tensorflow_metadata.proto.v0.statistics_pb2 import (
    DatasetFeatureStatisticsList,
    FeatureNameStatistics,
    Histogram,
)

from components.example_validator.describe import describe
from components.run_report.files import exists, read_bytes

SPLITS = ("train", "eval", "holdout")


def read_statistics(uri: str) -> dict[str, Any]:
    """Lengths and numbers of labels of the videos of each split.

    Returns:
        {split: {videos, frames: {min, mean, median, max, histogram}, labels: {min, mean, max}}} of the splits that
        there are; a histogram is [{start, end, videos}] with bins of equal width, empty for equal lengths.
    """
    found = {}
    for split in SPLITS:
        path = posixpath.join(uri, f"Split-{split}", "FeatureStats.pb")
        if exists(path):
            (dataset,) = DatasetFeatureStatisticsList.FromString(read_bytes(path)).datasets
            features = {feature.path.step[0]: feature for feature in dataset.features}
            frames = features["num_frames"].num_stats
            # Without any label TFDV knows no such feature; all its numbers are 0 then.
            labels = features.get("labels", FeatureNameStatistics()).num_stats.common_stats
            found[split] = {
                "videos": dataset.num_examples,
                "frames": {
                    "min": frames.min,
                    "mean": frames.mean,
                    "median": frames.median,
                    "max": frames.max,
                    "histogram": _histogram(frames.histograms),
                },
                "labels": {
                    "min": labels.min_num_values,
                    "mean": labels.avg_num_values,
                    "max": labels.max_num_values,
                },
            }
    return found


def read_anomalies(uri: str) -> dict[str, list[str]]:
    """A text for each anomaly of the splits that were validated; none in a run that went on."""
    found = {}
    for split in SPLITS:
        path = posixpath.join(uri, f"Split-{split}", "SchemaDiff.pb")
        if exists(path):
            found[split] = describe(split, Anomalies.FromString(read_bytes(path)))
    return found


def _histogram(histograms: Any) -> list[dict[str, float]]:
    standard = next((one for one in histograms if one.type == Histogram.STANDARD), None)
    return [
        {"start": bucket.low_value, "end": bucket.high_value, "videos": bucket.sample_count}
        for bucket in (standard.buckets if standard else ())
        if bucket.high_value > bucket.low_value
    ]
