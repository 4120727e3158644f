"""The compressor: what it writes, measures and refuses."""

import math

import numpy as np
import pytest

from components.fp16_compressor.compressor import allowed_change, check_gap, compress_model
from serving.export.card import ModelCard
from serving.export.codecs import FLOAT16
from serving.export.compression import compress, stored_bytes
from serving.export.saved_model import Member, read_stored, read_weights, write_saved_model
from tests.components.tiny_models import CLASSES, eval_shards, weights_of
from trainer.base.errors import UserError
from trainer.metrics.scorer import Scorer, evaluate
from trainer.metrics.video_metrics import Metrics
from trainer.model.model_spec import ModelSpec

SPEC = ModelSpec.parse("K3-H4", CLASSES)


def metrics(gap, videos=17_600):
    return Metrics(gap=gap, hit_at_one=0, perr=0, map=0, videos=videos)


def write(directory, weights):
    member = Member(spec=SPEC, weights=weights, gap=0.25, first_step=10, last_step=30, snapshots=3)
    write_saved_model(directory, [member])


def test_compresses_and_reports(tmp_path):
    source, target, files = str(tmp_path / "source"), str(tmp_path / "target"), eval_shards(tmp_path)
    weights = weights_of("K3-H4", 1)
    write(source, weights)
    report = compress_model(source, files, target, tolerance=0.01)

    expected = compress(SPEC, weights, FLOAT16)
    stored, written = read_stored(target), read_weights(target)
    for name, value in expected.items():
        assert stored[name].codec == value.codec
        np.testing.assert_array_equal(stored[name].parts["values"], value.parts["values"])
    (member,) = ModelCard.load(target).members
    assert (member.first_step, member.last_step, member.snapshots) == (10, 30, 3)
    assert member.gap == report["gap_stored"]
    assert member.bytes == report["stored_bytes"] == stored_bytes(SPEC, FLOAT16)
    assert report["float32_bytes"] == SPEC.float32_bytes
    assert report["rate"] == 1 - report["stored_bytes"] / report["float32_bytes"]
    assert report["videos"] == 30
    scorer = Scorer(SPEC)
    for values, key in ((weights, "gap_float32"), (written, "gap_stored")):
        scorer.load(values)
        assert evaluate(scorer, files).gap == report[key]
    dtypes = {tensor["name"]: tensor["encoding"] for tensor in report["tensors"]}
    assert sorted(dtypes.values()) == ["float16"] * 4 + ["float32"] * 28


def test_refuses_an_overflow_and_writes_nothing(tmp_path):
    weights = weights_of("K3-H4", 1)
    weights["experts/weights"][2, 1] = 1e5
    write(str(tmp_path / "source"), weights)
    with pytest.raises(UserError, match=r"experts/weights\[2, 1\]"):
        compress_model(str(tmp_path / "source"), [], str(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


def test_refuses_a_change_of_gap_and_writes_nothing(tmp_path, monkeypatch):
    write(str(tmp_path / "source"), weights_of("K3-H4", 1))

    def spoil(spec, weights, codec):
        return compress(spec, {name: np.zeros_like(value) for name, value in weights.items()}, codec)

    monkeypatch.setattr("components.fp16_compressor.compressor.compress", spoil)
    with pytest.raises(UserError, match="float16 changes GAP by"):
        compress_model(str(tmp_path / "source"), eval_shards(tmp_path), str(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


def test_refuses_an_ensemble(tmp_path):
    member = Member(spec=SPEC, weights=weights_of("K3-H4", 1), weight=0.5)
    write_saved_model(str(tmp_path / "source"), [member, member])
    with pytest.raises(UserError, match="one of 2 members"):
        compress_model(str(tmp_path / "source"), [], str(tmp_path / "target"))


@pytest.mark.parametrize("videos", [176, 17_600, 1_000_000])
@pytest.mark.parametrize("sign", [-1, 1])
def test_tolerance_just_met_and_just_missed(videos, sign):
    allowed = 1e-4 * max(1, math.sqrt(17_600 / videos))
    assert allowed_change(1e-4, videos) == pytest.approx(allowed)
    check_gap(SPEC, FLOAT16, metrics(0.5, videos), metrics(0.5 + sign * allowed * 0.999, videos), 1e-4)
    with pytest.raises(UserError, match=f"{videos} videos"):
        check_gap(SPEC, FLOAT16, metrics(0.5, videos), metrics(0.5 + sign * allowed * 1.001, videos), 1e-4)
