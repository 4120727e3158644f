"""The documents between steps: their keys on disk stay, and older and newer ones can be read."""

import json
import math

import pytest

from components.checkpoint_averager.report import AveragingReport
from components.drift.report import DriftReport
from components.ensemble_assembler.report import EnsembleReport
from components.evaluator.report import EvaluationResults
from components.example_gen.report import ExampleGenReport
from components.fp16_compressor.report import CompressionReport
from components.half_time.report import HalfTimeReport, HalfTimeResult
from components.pusher.report import PushResult
from components.teacher.report import TeacherReport
from components.verdict import Verdict
from trainer.base.errors import UserError

COMPRESSION = {
    "variant": "K2-H3",
    "encoding": "float16",
    "float32_bytes": 4000,
    "stored_bytes": 2100,
    "rate": 0.475,
    "gap_float32": 0.5,
    "gap_stored": 0.5001,
    "videos": 30,
    "tolerance": 0.0001,
    "tensors": [{"name": "experts/weights", "shape": [3, 4], "encoding": "float16"}],
}
METRICS = {"gap": 0.5, "hit_at_one": 0.6, "perr": 0.4, "map": 0.3, "videos": 17}
ROW = {"class": 7, "name": None, "average_precision": 0.25, "labels": 12}
ENSEMBLE = {
    "videos": 30,
    "limit_bytes": 1024,
    "members": [{"variant": "K2-H3", "bytes": 900, "gap": 0.5, "inferior_to": None}],
    "combinations_fitting": 1,
    "ensembles": [{"members": ["K2-H3"], "weights": [1.0], "bytes": 900, "gap": 0.5}],
    "analysis": {
        "classes": {"measured": 1, "ranked": 1, "least_labels": 1, "best": [ROW], "worst": []},
        "calibration": {
            "pairs": 20,
            "error": 0.01,
            "bins": [{"start": 0.0, "end": 1.0, "pairs": 20, "confidence": 0.5, "hit_rate": None}],
        },
        "verticals": [{"name": "Sports", "metrics": METRICS}],
        "predicted": {"7": 12.5},
    },
}
SINGLE = {"kind": "single", "first_step": 20, "last_step": 20, "snapshots": 1, "gap": 0.5, "decay": None}
AVERAGE = {"kind": "average", "first_step": 10, "last_step": 20, "snapshots": 2, "gap": 0.51, "decay": None}
LOSS = {"file": "a.tfrecord", "reason": "empty", "detail": "no bytes", "videos": 9, "whole": True}
HALF = {"variant": "K2-H3", "step": 6, "bytes": 900, "gap": 0.5, "videos": 30}
DOCUMENTS = {
    ExampleGenReport: {
        "span": 0,
        "splits": {"train": {"files": 2, "videos": 91, "frames": 182, "labels": 273, "unlabelled": 0}},
        "rejected": {"crc_mismatch": 3},
        "rejected_videos": 3,
        "share": 3 / 94,
        "unlabelled_videos": 0,
        "editions": {"frame": 91},
        "losses": [LOSS],
        "copies": {"b.tfrecord": "c.tfrecord"},
        "left_out_files": ["test0"],
    },
    DriftReport: {
        "span": 3,
        "videos": 200,
        "served_version": 7,
        "served_videos": 300,
        "measures": [{"name": "classes", "value": 0.06, "threshold": 0.02}],
        "moved": [{"class": 7, "name": "Game", "before": 0.1, "now": 0.3}],
    },
    HalfTimeResult: HALF,
    HalfTimeReport: {
        "lead": 0.01,
        "variants": [{**HALF, "stopped_for": None}, {**HALF, "stopped_for": "K2-H2"}],
    },
    TeacherReport: {
        "models": ["K2-H3 + K2-H2"],
        "videos": 91,
        "classes": 700,
        "bytes": 4000,
        "examples_bytes": 90000,
        "files": 2,
        "resumed_files": 1,
        "seconds": 1.5,
    },
    AveragingReport: {
        "variant": "K2-H3",
        "videos": 30,
        "candidates": [SINGLE, AVERAGE],
        "best": AVERAGE,
        "best_single": SINGLE,
        "best_average": None,
        "damaged": [30],
    },
    CompressionReport: COMPRESSION,
    EnsembleReport: ENSEMBLE,
    EvaluationResults: {
        "candidate": METRICS,
        "baseline": None,
        "slices": [{"feature": "num_labels", "bin": "6+", "candidate": METRICS, "baseline": None}],
    },
    Verdict: {
        "blessed": True,
        "reasons": ["fine"],
        "checks": [{"name": "labels", "passed": True, "text": "fine"}],
    },
    PushResult: {
        "pushed": False,
        "version": None,
        "destination": None,
        "reason": "not blessed by the Evaluator",
        "model_card": "# Model card",
    },
}
"""One whole document of each class, as the steps have always written it."""


@pytest.mark.parametrize("kind", DOCUMENTS, ids=lambda kind: kind.__name__)
def test_a_document_keeps_its_keys(tmp_path, kind):
    directory, again = str(tmp_path / "report"), str(tmp_path / "again")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / kind.FILE).write_text(json.dumps(DOCUMENTS[kind]))
    kind.read(directory).write(again)
    assert json.loads((tmp_path / "again" / kind.FILE).read_text()) == DOCUMENTS[kind]


@pytest.mark.parametrize("kind", DOCUMENTS, ids=lambda kind: kind.__name__)
def test_keys_of_later_versions_are_passed_over(kind):
    def with_more(value, names=("splits", "rejected", "editions", "copies", "predicted")):
        """Every object with one more key, but for those whose keys are names of files, splits and the like."""
        if isinstance(value, list):
            return [with_more(one) for one in value]
        if not isinstance(value, dict):
            return value
        known = {key: one if key in names else with_more(one) for key, one in value.items()}
        return {**known, "a_key_of_the_future": [1]}

    assert kind.model_validate(with_more(DOCUMENTS[kind])) == kind.model_validate(DOCUMENTS[kind])


def test_a_holdout_is_said_and_nothing_else(tmp_path):
    results = EvaluationResults.model_validate(DOCUMENTS[EvaluationResults])
    assert not results.is_holdout
    held = results.model_copy(update={"split": "holdout", "selection_gap": None})
    held.write(str(tmp_path))
    assert json.loads((tmp_path / "results.json").read_text()) == {
        **DOCUMENTS[EvaluationResults],
        "split": "holdout",
        "selection_gap": None,
    }
    assert EvaluationResults.read(str(tmp_path)).is_holdout


def test_a_metric_that_is_no_number_is_written_and_read(tmp_path):
    measured = {**DOCUMENTS[EvaluationResults], "candidate": {**METRICS, "gap": math.nan}}
    EvaluationResults.model_validate(measured).write(str(tmp_path))
    assert math.isnan(EvaluationResults.read(str(tmp_path)).candidate.gap)


def test_a_report_of_before_codecs_is_read():
    old = {key: value for key, value in COMPRESSION.items() if key != "encoding"}
    old["float16_bytes"], old["gap_float16"] = old.pop("stored_bytes"), old.pop("gap_stored")
    assert CompressionReport.model_validate(old) == CompressionReport.model_validate(COMPRESSION)


def test_what_cannot_be_read_is_named_in_one_line(tmp_path):
    with pytest.raises(
        UserError, match=r"report\.json: there is no such file: remove its directory and start the run again"
    ):
        CompressionReport.read(str(tmp_path))
    for text in ("", "[]", '{"variant": 7}', json.dumps({**COMPRESSION, "rate": "much"})):
        (tmp_path / "report.json").write_text(text)
        with pytest.raises(UserError, match=r"report\.json cannot be read: ") as error:
            CompressionReport.read(str(tmp_path))
        assert "\n" not in str(error.value)


def test_no_number_that_json_does_not_know_is_written(tmp_path):
    report = CompressionReport.model_validate({**COMPRESSION, "gap_stored": math.nan})
    with pytest.raises(ValueError, match="JSON compliant"):
        report.write(str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_variant_without_a_verdict_is_named():
    report = HalfTimeReport.model_validate(DOCUMENTS[HalfTimeReport])
    assert report.verdict_on("K2-H3").variant == "K2-H3"
    with pytest.raises(UserError, match="no verdict on K9-H9, only on K2-H3"):
        report.verdict_on("K9-H9")
