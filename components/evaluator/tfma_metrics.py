"""The metrics of YouTube-8M for TensorFlow Model Analysis, all from one pass over the videos.

TFMA asks for each metric by the name of its class; each names the same computation, which TFMA then runs
once, and derives its own number from it. Labels are lists of class numbers (negative ones are padding),
predictions the V probabilities of a video.
"""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.metrics import metric_types

from trainer.data.yt8m import TOP_K
from trainer.metrics.video_metrics import VideoMetrics

NAMES = ("gap", "hit_at_one", "perr", "map", "videos")
"""The metrics, which are also the fields of `trainer.metrics.video_metrics.Metrics`."""


class Gap(tfma.metrics.Metric):
    """Global average precision of the 20 most confident classes of every video."""

    def __init__(self, name: str = "gap") -> None:
        super().__init__(_computations, name=name, field="gap")


class HitAtOne(tfma.metrics.Metric):
    """Share of the videos whose most confident class is one of their labels."""

    def __init__(self, name: str = "hit_at_one") -> None:
        super().__init__(_computations, name=name, field="hit_at_one")


class Perr(tfma.metrics.Metric):
    """Precision at equal recall rate."""

    def __init__(self, name: str = "perr") -> None:
        super().__init__(_computations, name=name, field="perr")


class Map(tfma.metrics.Metric):
    """Mean over the classes of the average precision."""

    def __init__(self, name: str = "map") -> None:
        super().__init__(_computations, name=name, field="map")


class Videos(tfma.metrics.Metric):
    """Number of videos."""

    def __init__(self, name: str = "videos") -> None:
        super().__init__(_computations, name=name, field="videos")


for _metric in (Gap, HitAtOne, Perr, Map, Videos):
    metric_types.register_metric(_metric)


def _computations(
    name: str,
    field: str,
    model_names: list[str] | None = None,
    output_names: list[str] | None = None,
) -> metric_types.MetricComputations:
    computations: metric_types.MetricComputations = []
    for model_name in model_names or [""]:
        for output_name in output_names or [""]:
            source = metric_types.MetricKey(
                name="_yt8m_metrics", model_name=model_name, output_name=output_name
            )
            key = metric_types.MetricKey(name=name, model_name=model_name, output_name=output_name)
            computations.append(
                metric_types.MetricComputation(
                    keys=[source],
                    preprocessors=[_Measure(model_name, output_name)],
                    combiner=_Combine(source),
                )
            )
            computations.append(
                metric_types.DerivedMetricComputation(keys=[key], result=_Field(source, key, field))
            )
    return computations


class _Field:
    """Picks one metric of the shared result."""

    def __init__(self, source: metric_types.MetricKey, key: metric_types.MetricKey, field: str) -> None:
        self._source, self._key, self._field = source, key, field

    def __call__(self, metrics: dict[metric_types.MetricKey, Any]) -> dict[metric_types.MetricKey, float]:
        return {self._key: float(getattr(metrics[self._source], self._field))}


class _Measure(metric_types.Preprocessor):
    """Turns a video's V probabilities into its 20 pairs, before the video is copied into its slices."""

    def __init__(self, model_name: str, output_name: str) -> None:
        super().__init__(name=f"yt8m_metrics:{model_name}:{output_name}")
        self._keys = [key for key in (model_name, output_name) if key]

    def process(self, extracts: tfma.Extracts) -> Iterator[VideoMetrics]:
        scores = np.asarray(self._pick(extracts[tfma.PREDICTIONS_KEY])).reshape(1, -1)
        classes = np.asarray(self._pick(extracts[tfma.LABELS_KEY]), np.int64).ravel()
        labels = np.zeros(scores.shape, np.bool_)
        labels[0, classes[classes >= 0]] = True
        metrics = VideoMetrics(scores.shape[1], TOP_K)
        metrics.update(scores, labels)
        yield metrics

    def _pick(self, value: Any) -> Any:
        """TFMA keys by model and by output only where there are several."""
        for key in self._keys:
            if isinstance(value, dict) and key in value:
                value = value[key]
        return value


class _Combine(beam.CombineFn):
    """Merges the videos of a slice."""

    def __init__(self, key: metric_types.MetricKey) -> None:
        self._key = key

    def create_accumulator(self) -> VideoMetrics | None:
        return None  # V is known from the first video

    def add_input(self, accumulator: VideoMetrics | None, element: VideoMetrics) -> VideoMetrics:
        if accumulator is None:
            accumulator = VideoMetrics(element.num_classes, element.k)
        accumulator.add(element)
        return accumulator

    def merge_accumulators(self, accumulators: Any) -> VideoMetrics | None:
        merged = self.create_accumulator()
        for accumulator in accumulators:
            if accumulator is not None:
                merged = self.add_input(merged, accumulator)
        return merged

    def compact(self, accumulator: VideoMetrics | None) -> VideoMetrics | None:
        return accumulator and accumulator.compact()

    def extract_output(self, accumulator: VideoMetrics | None) -> dict[metric_types.MetricKey, Any]:
        return {} if accumulator is None else {self._key: accumulator.result()}
