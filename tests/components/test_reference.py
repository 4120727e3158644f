"""What a pushed version says of its data and predictions."""

import json
from pathlib import Path

import pytest

from components.drift.monitoring import read_reference
from components.ensemble_assembler.report import EnsembleReport
from components.example_gen.distribution import DISTRIBUTIONS
from components.pusher.files import REFERENCE_FILE
from components.pusher.reference import reference
from tests.components.test_report_file import ENSEMBLE
from trainer.base.errors import UserError


def test_the_reference_has_what_was_trained_on_and_what_was_predicted(tmp_path: Path) -> None:
    assert reference(str(tmp_path), None) is None, "an ExampleGen of an earlier release"
    (tmp_path / DISTRIBUTIONS).write_text(json.dumps({"trained": {"frames": [1]}, "newest": {}, "span": 2}))
    assert reference(str(tmp_path), None) == {"trained": {"frames": [1]}}
    EnsembleReport.model_validate(ENSEMBLE).write(str(tmp_path))
    made = reference(str(tmp_path), str(tmp_path))
    assert made == {"trained": {"frames": [1]}, "scores": [20], "predicted": {7: 12.5}}
    path = tmp_path / "1" / REFERENCE_FILE
    with pytest.raises(UserError, match="does not say what it was trained on"):
        read_reference(str(tmp_path / "1"))
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(made))
    assert read_reference(str(tmp_path / "1"))["predicted"] == {"7": 12.5}
    for damaged in ('{"trained": ', "[]", '{"trained": 7}'):
        path.write_text(damaged)
        with pytest.raises(UserError, match=r"reference\.json is damaged"):
            read_reference(str(tmp_path / "1"))
