"""What the Evaluator measures and what a candidate must reach, as TFMA wants it told."""

import tensorflow_model_analysis as tfma

from components.evaluator import slices
from components.evaluator.extractors import LABELS

_CLASSES = ("Gap", "HitAtOne", "Perr", "Map", "Videos")


def make_eval_config(
    gap_floor: float, max_gap_drop: float, signature: str = "predictions"
) -> tfma.EvalConfig:
    """Metrics, slices and thresholds of the Evaluator.

    Args:
        gap_floor: Least GAP on all videos; exactly this much is enough.
        max_gap_drop: How far GAP may lie below that of the baseline; ignored where there is none.
        signature: Of the SavedModels, records -> probabilities.
    """
    threshold = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": gap_floor}),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -max_gap_drop}
        ),
    )
    metrics = [
        tfma.MetricConfig(class_name=name, module="components.evaluator.tfma_metrics") for name in _CLASSES
    ]
    # A plain `threshold` would be demanded of every slice.
    metrics[0].per_slice_thresholds.add(slicing_specs=[tfma.SlicingSpec()], threshold=threshold)
    return tfma.EvalConfig(
        model_specs=[tfma.ModelSpec(model_type="tf_generic", signature_name=signature, label_key=LABELS)],
        slicing_specs=[
            tfma.SlicingSpec(),
            tfma.SlicingSpec(feature_keys=[slices.LABELS]),
            tfma.SlicingSpec(feature_keys=[slices.FRAMES]),
        ],
        metrics_specs=[tfma.MetricsSpec(metrics=metrics)],
        # The number of videos is a metric of ours; TFMA's own would carry all probabilities into every slice.
        options=tfma.Options(include_default_metrics={"value": False}),
    )
