"""What a pushed version says of its data and predictions."""

import json
from pathlib import Path

import pytest

from components.drift.monitoring import read_reference
from components.ensemble_assembler.report import EnsembleReport
from components.example_gen.distribution import Distribution, Distributions
from components.pusher.files import REFERENCE_FILE
from components.pusher.reference import reference
from serving.export.card import ModelCard
from serving.store.manifest import MANIFEST, encode_manifest
from tests.components.test_report_file import ENSEMBLE
from trainer.base.errors import UserError


def test_the_reference_has_what_was_trained_on_and_what_was_predicted(tmp_path: Path) -> None:
    assert reference(str(tmp_path), None) is None, "an ExampleGen of an earlier release"
    trained = Distribution.empty(9)
    trained.classes[7] = trained.frames[120] = 4
    Distributions(trained=trained, newest=Distribution.empty(9), span=2).write(str(tmp_path))
    assert reference(str(tmp_path), None).document() == {"trained": trained.document()}
    EnsembleReport.model_validate(ENSEMBLE).write(str(tmp_path))
    made = reference(str(tmp_path), str(tmp_path))
    assert made.document() == {"trained": trained.document(), "scores": (20,), "predicted": {7: 12.5}}
    path = tmp_path / "1" / REFERENCE_FILE
    with pytest.raises(UserError, match="is not a model of this project"):
        read_reference(str(tmp_path / "1"))
    ModelCard(num_classes=30, bytes=4, gap=None, members=()).save(str(tmp_path / "1"))
    with pytest.raises(UserError, match="does not say what it was trained on"):
        read_reference(str(tmp_path / "1"))
    (tmp_path / "1" / MANIFEST).write_bytes(encode_manifest({REFERENCE_FILE: "0" * 64}))
    with pytest.raises(
        UserError, match=r"/1 has lost assets.extra/reference\.json, .*: copy the version again"
    ):
        read_reference(str(tmp_path / "1"))
    path.write_text(json.dumps(made.document()))
    assert read_reference(str(tmp_path / "1")).document() == made.document()
    for damaged in ('{"trained": ', "[]", '{"trained": 7}'):
        path.write_text(damaged)
        with pytest.raises(UserError, match=r"reference\.json cannot be read"):
            read_reference(str(tmp_path / "1"))
