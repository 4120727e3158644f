"""What TFX's StatisticsGen and ExampleValidator found in the summaries of the videos."""

import posixpath
from typing import Any

from pydantic import Field
from tensorflow_metadata.proto.v0.anomalies_pb2 import Anomalies
from tensorflow_metadata.proto.v0.statistics_pb2 import (
    DatasetFeatureStatisticsList,
    FeatureNameStatistics,
    Histogram,
)

from components.example_validator.describe import describe
from components.report_file import ReportPart
from trainer.base.files import exists, open_file

SPLITS = ("train", "eval", "holdout")


class HistogramBin(ReportPart):
    """The videos whose number of frames lies from `start` to `end`."""

    start: float
    end: float
    videos: float


class Range(ReportPart):
    """How many of something a video has."""

    min: float
    mean: float
    max: float


class FrameStatistics(Range):
    """Number of frames of a video."""

    median: float
    histogram: tuple[HistogramBin, ...] = Field(
        description="Bins of equal width; empty where all videos are equally long."
    )


class SplitStatistics(ReportPart):
    """Lengths and numbers of labels of the videos of one split."""

    videos: int
    frames: FrameStatistics
    labels: Range


def read_statistics(uri: str) -> dict[str, SplitStatistics]:
    """Reads lengths and numbers of labels of the videos of each split.

    Args:
        uri: Address of the StatisticsGen's artifact.

    Returns:
        What was found of the splits that there are, by name.
    """
    found = {}
    for split in SPLITS:
        path = posixpath.join(uri, f"Split-{split}", "FeatureStats.pb")
        if exists(path):
            (dataset,) = DatasetFeatureStatisticsList.FromString(_read(path)).datasets
            features = {feature.path.step[0]: feature for feature in dataset.features}
            frames = features["num_frames"].num_stats
            # Without any label TFDV knows no such feature; all its numbers are 0 then.
            labels = features.get("labels", FeatureNameStatistics()).num_stats.common_stats
            found[split] = SplitStatistics(
                videos=dataset.num_examples,
                frames=FrameStatistics(
                    min=frames.min,
                    mean=frames.mean,
                    median=frames.median,
                    max=frames.max,
                    histogram=_histogram(frames.histograms),
                ),
                labels=Range(
                    min=labels.min_num_values, mean=labels.avg_num_values, max=labels.max_num_values
                ),
            )
    return found


def read_anomalies(uri: str) -> dict[str, list[str]]:
    """Reads the anomalies of the splits that were validated.

    Args:
        uri: Address of the ExampleValidator's artifact.

    Returns:
        One line for each anomaly, by split; no line in a run that went on after the validation.
    """
    found = {}
    for split in SPLITS:
        path = posixpath.join(uri, f"Split-{split}", "SchemaDiff.pb")
        if exists(path):
            found[split] = describe(split, Anomalies.FromString(_read(path)))
    return found


def _read(path: str) -> bytes:
    with open_file(path, "rb") as file:
        return file.read()


def _histogram(histograms: Any) -> tuple[HistogramBin, ...]:
    standard = next((one for one in histograms if one.type == Histogram.STANDARD), None)
    return tuple(
        HistogramBin(start=bucket.low_value, end=bucket.high_value, videos=bucket.sample_count)
        for bucket in (standard.buckets if standard else ())
        if bucket.high_value > bucket.low_value
    )
