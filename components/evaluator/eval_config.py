"""What the Evaluator measures and what a candidate must reach, as TFMA wants it told."""

# TFMA exports them at its top only up to 0.47.
from tensorflow_model_analysis.proto import config_pb2

from components.evaluator import slices
from components.evaluator.extractors import LABELS

_CLASSES = ("Gap", "HitAtOne", "Perr", "Map", "Videos")


def make_eval_config(
    gap_floor: float, max_gap_drop: float, signature: str = "predictions"
) -> config_pb2.EvalConfig:
    """Metrics, slices and thresholds of the Evaluator.

    Args:
        gap_floor: Least GAP on all videos; exactly this much is enough.
        max_gap_drop: How far GAP may lie below that of the baseline; ignored where there is none.
        signature: Of the SavedModels, records -> probabilities.
    """
    threshold = config_pb2.MetricThreshold(
        value_threshold=config_pb2.GenericValueThreshold(lower_bound={"value": gap_floor}),
        change_threshold=config_pb2.GenericChangeThreshold(
            direction=config_pb2.MetricDirection.HIGHER_IS_BETTER, absolute={"value": -max_gap_drop}
        ),
    )
    metrics = [
        config_pb2.MetricConfig(class_name=name, module="components.evaluator.tfma_metrics")
        for name in _CLASSES
    ]
    # A plain `threshold` would be demanded of every slice.
    metrics[0].per_slice_thresholds.add(slicing_specs=[config_pb2.SlicingSpec()], threshold=threshold)
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(model_type="tf_generic", signature_name=signature, label_key=LABELS)
        ],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            config_pb2.SlicingSpec(feature_keys=[slices.LABELS]),
            config_pb2.SlicingSpec(feature_keys=[slices.FRAMES]),
        ],
        metrics_specs=[config_pb2.MetricsSpec(metrics=metrics)],
        # The number of videos is a metric of ours; TFMA's own would carry all probabilities into every slice.
        options=config_pb2.Options(include_default_metrics={"value": False}),
    )
