"""The Evaluator's results, read from the files that TFMA wrote."""

from typing import Any

import tensorflow_model_analysis as tfma

from components.evaluator import slices
from components.evaluator.report import EvaluationResults, SliceMetrics
from components.evaluator.tfma_metrics import NAMES
from trainer.metrics.video_metrics import Metrics


def read_results(evaluation_uri: str) -> EvaluationResults:
    """Reads what TFMA measured, overall and by slice.

    Args:
        evaluation_uri: Directory of the evaluation artifact, local or in a bucket.
    """
    overall: dict[str, Metrics] = {}
    sliced: dict[tuple[str, str], dict[str, Metrics]] = {}
    for result in tfma.load_metrics(evaluation_uri):
        models = _models(result)
        if not result.slice_key.single_slice_keys:
            overall.update(models)
            continue
        (key,) = result.slice_key.single_slice_keys
        sliced[key.column, key.bytes_value.decode()] = models
    return EvaluationResults(
        candidate=overall.get("candidate"),
        baseline=overall.get("baseline"),
        slices=tuple(
            SliceMetrics(
                feature=feature,
                bin=name,
                candidate=sliced[feature, name].get("candidate"),
                baseline=sliced[feature, name].get("baseline"),
            )
            for feature, names in {**slices.BINS, slices.SPAN: _spans(sliced)}.items()
            for name in names
            if (feature, name) in sliced
        ),
    )


def _spans(sliced: dict[tuple[str, str], Any]) -> list[str]:
    return sorted((name for feature, name in sliced if feature == slices.SPAN), key=int)


def _models(result: Any) -> dict[str, Metrics]:
    """The metrics by model, `candidate` and `baseline`; TFMA names the models only where there are two."""
    models: dict[str, dict[str, Any]] = {}
    for item in result.metric_keys_and_values:
        if item.key.is_diff or item.key.name not in NAMES:
            continue
        metrics = models.setdefault(item.key.model_name or tfma.CANDIDATE_KEY, {})
        value = item.value.double_value.value
        metrics[item.key.name] = int(value) if item.key.name == "videos" else value
    return {name: Metrics(**metrics) for name, metrics in models.items()}
