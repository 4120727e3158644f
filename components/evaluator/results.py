"""TFMA's result files as one plain JSON object."""

from typing import Any

import tensorflow_model_analysis as tfma

from components.evaluator import slices
from components.evaluator.tfma_metrics import NAMES


def read_results(evaluation_uri: str) -> dict[str, Any]:
    """What an Evaluator measured.

    Returns:
        {candidate: metrics, baseline: metrics or None, slices: [{feature, bin, candidate, baseline}]}, to which the
        executor adds two keys where there is a holdout (see `components.evaluator.files.HOLDOUT`). Metrics are
        {gap, hit_at_one, perr, map, videos}; candidate is None where there was no video. The slices stand in the
        order of their bins.
    """
    overall: dict[str, Any] = {"candidate": None, "baseline": None}
    sliced: dict[tuple[str, str], dict[str, Any]] = {}
    for result in tfma.load_metrics(evaluation_uri):
        models = _models(result)
        if not result.slice_key.single_slice_keys:
            overall.update(models)
            continue
        (key,) = result.slice_key.single_slice_keys
        sliced[key.column, key.bytes_value.decode()] = models
    return {
        **overall,
        "slices": [
            {"feature": feature, "bin": name, "candidate": None, "baseline": None, **sliced[feature, name]}
            for feature, names in slices.BINS.items()
            for name in names
            if (feature, name) in sliced
        ],
    }


def _models(result: Any) -> dict[str, dict[str, float]]:
    """Metrics by model; TFMA names the models only where there are two."""
    models: dict[str, dict[str, float]] = {}
    for item in result.metric_keys_and_values:
        if item.key.is_diff or item.key.name not in NAMES:
            continue
        metrics = models.setdefault(item.key.model_name or tfma.CANDIDATE_KEY, {})
        value = item.value.double_value.value
        metrics[item.key.name] = int(value) if item.key.name == "videos" else value
    return models
