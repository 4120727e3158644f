"""The documents between steps: their keys on disk stay, and older and newer ones can be read."""

import json
import math

import pytest

from components.ensemble_assembler.report import EnsembleReport
from components.fp16_compressor.report import CompressionReport
from components.report_file import StepReport
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
    },
}
DOCUMENTS = {CompressionReport: COMPRESSION, EnsembleReport: ENSEMBLE}
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
    def with_more(value):
        if isinstance(value, list):
            return [with_more(one) for one in value]
        if isinstance(value, dict):
            return {**{key: with_more(one) for key, one in value.items()}, "a_key_of_the_future": [1]}
        return value

    known = kind.model_validate(DOCUMENTS[kind])
    # An object from names to values takes any name: only those of fixed keys are held against the old.
    assert kind.model_validate({**DOCUMENTS[kind], "a_key_of_the_future": 1}) == known
    if kind not in FREE_KEYS:
        assert kind.model_validate(with_more(DOCUMENTS[kind])) == known


FREE_KEYS: set[type[StepReport]] = set()
"""Documents with objects whose keys are names."""


def test_a_report_of_before_codecs_is_read():
    old = {key: value for key, value in COMPRESSION.items() if key != "encoding"}
    old["float16_bytes"], old["gap_float16"] = old.pop("stored_bytes"), old.pop("gap_stored")
    assert CompressionReport.model_validate(old) == CompressionReport.model_validate(COMPRESSION)


def test_what_cannot_be_read_is_named_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"report\.json: there is no such file, which an earlier step writes"):
        CompressionReport.read(str(tmp_path))
    for text in ("", "[]", '{"variant": 7}', json.dumps({**COMPRESSION, "rate": "much"})):
        (tmp_path / "report.json").write_text(text)
        with pytest.raises(UserError, match=r"report\.json cannot be read as CompressionReport: ") as error:
            CompressionReport.read(str(tmp_path))
        assert "\n" not in str(error.value)


def test_no_number_that_json_does_not_know_is_written(tmp_path):
    report = CompressionReport.model_validate({**COMPRESSION, "gap_stored": math.nan})
    with pytest.raises(ValueError, match="JSON compliant"):
        report.write(str(tmp_path))
    assert not list(tmp_path.iterdir())
