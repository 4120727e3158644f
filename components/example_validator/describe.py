"""Anomalies as a text for people."""

from collections.abc import Mapping

from tensorflow_metadata.proto.v0.anomalies_pb2 import Anomalies

from trainer.base.errors import UserError


def check_anomalies(anomalies: Mapping[str, Anomalies]) -> None:
    """Raises UserError that names every anomaly (split, feature, what, and how much) when there is one.

    Args:
        anomalies: By split.
    """
    lines = [line for split, found in anomalies.items() for line in describe(split, found)]
    if lines:
        raise UserError(f"the data does not fit the schema: {'; '.join(lines)}. Mend the data, or the schema")


def describe(split: str, anomalies: Anomalies) -> list[str]:
    """One text for each anomaly of a split: feature, what, and how much."""
    lines = [
        f"{split} split, feature {name}: {info.short_description} ({info.description.rstrip('.')})"
        for name, info in sorted(anomalies.anomaly_info.items())
    ]
    if anomalies.HasField("dataset_anomaly_info"):
        info = anomalies.dataset_anomaly_info
        lines.append(f"{split} split: {info.short_description} ({info.description.rstrip('.')})")
    return lines
