import pytest
from tensorflow_metadata.proto.v0.anomalies_pb2 import Anomalies, AnomalyInfo

from components.example_validator.describe import check_anomalies
from trainer.base.errors import UserError


def test_no_anomaly_is_no_error() -> None:
    check_anomalies({"train": Anomalies(), "eval": Anomalies()})


def test_every_anomaly_is_named() -> None:
    found = Anomalies(
        anomaly_info={
            "labels": AnomalyInfo(short_description="Out-of-range values", description="High value: 4000."),
            "id": AnomalyInfo(short_description="Column dropped", description="Column is completely missing"),
        }
    )
    found.dataset_anomaly_info.short_description = "Low num examples"
    found.dataset_anomaly_info.description = "3 < 10."
    with pytest.raises(UserError) as raised:
        check_anomalies({"train": Anomalies(), "eval": found})
    text = str(raised.value)
    assert "eval split, feature id: Column dropped (Column is completely missing)" in text
    assert "eval split, feature labels: Out-of-range values (High value: 4000)" in text
    assert "eval split: Low num examples (3 < 10)" in text
    assert "train split" not in text
