"""`model.json`, and models of before there was one."""

import pytest

from tests.tiny_family import Stages
from trainer.base.errors import UserError
from trainer.model.model_spec import ModelSpec


def test_model_json_says_what_a_model_is(tmp_path):
    spec = ModelSpec(Stages(3), 12)
    spec.save(str(tmp_path / "run"))
    assert ModelSpec.load(str(tmp_path / "run")) == spec
    (tmp_path / "run" / "model.json").write_text(
        '{"schema": 9, "architecture": "Stages-W3", "num_classes": 12}'
    )
    with pytest.raises(UserError, match="newer version of yt8m"):
        ModelSpec.load(str(tmp_path / "run"))
    (tmp_path / "run" / "model.json").write_text('{"schema"')
    with pytest.raises(UserError, match="does not say which model"):
        ModelSpec.load(str(tmp_path / "run"))


def test_runs_of_before_there_was_a_model_json_are_read_by_their_shapes(tmp_path):
    spec = ModelSpec.parse("K3-H5-M2", 12)
    shapes = {tensor.name: tensor.shape for tensor in spec.tensors}
    assert ModelSpec.load(str(tmp_path), shapes) == spec
    with pytest.raises(UserError, match=r"has no model\.json"):
        ModelSpec.load(str(tmp_path), {"w": (3,)})
