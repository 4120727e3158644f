"""Float16 storage: exactly four tensors, the paper's sizes, and values that do not fit."""

import numpy as np
import pytest

from serving.export.codecs import FLOAT16
from serving.export.compression import compress, stored_bytes
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.model.architectures.gated_net_vlad import TABLE1
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

# The paper's Table 1: float32 MiB, float16 MiB, rate in per cent.
PAPER = {
    "K24-H1440": (714.93, 381.40, 46.7),
    "K32-H1280": (679.73, 358.85, 47.2),
    "K100-H800": (663.87, 339.76, 48.8),
    "K16-H1280": (594.59, 316.21, 46.8),
    "K32-H1024": (549.24, 286.85, 47.8),
    "K20-H960": (469.18, 245.31, 47.7),
    "K16-H800": (384.27, 199.61, 48.1),
    "K64-H512": (365.53, 186.11, 49.1),
    "K100-H400": (357.21, 180.93, 49.3),
    "K32-H600": (339.72, 174.20, 48.7),
    "K32-H512": (297.27, 151.85, 48.9),
    "K16-H512": (263.13, 134.71, 48.8),
    "K8-H512": (246.07, 126.15, 48.7),
    "K16-H400": (217.05, 110.50, 49.1),
    "K10-H400": (207.04, 105.47, 49.1),
    "K32-H256": (175.78, 88.85, 49.5),
    "K10-H300": (168.87, 85.58, 49.3),
    "K16-H256": (158.65, 80.21, 49.4),
}
BIG = {"hidden1/weights", "gates/weights", "experts/weights", "gating_prob/weights"}
SPEC = ModelSpec.parse("K4-H6", 10)


@pytest.fixture
def weights():
    return initial_weights(SPEC, 0)


@pytest.mark.parametrize("variant", TABLE1, ids=str)
def test_sizes_of_the_paper(variant):
    # Arrays without memory of their own: a gigabyte of zeros would prove nothing more.
    zeros = {spec.name: np.broadcast_to(np.float32(0), spec.shape) for spec in ModelSpec(variant).tensors}
    stored = {
        spec.name: np.broadcast_to(np.float16(0) if spec.name in BIG else np.float32(0), spec.shape)
        for spec in ModelSpec(variant).tensors
    }
    assert len(zeros) == 32
    float32, float16, rate = PAPER[str(variant)]
    before, after = (sum(array.nbytes for array in arrays.values()) for arrays in (zeros, stored))
    assert before / MIB == pytest.approx(float32, abs=0.0051)
    assert after / MIB == pytest.approx(float16, abs=0.0051)
    assert 100 * (1 - after / before) == pytest.approx(rate, abs=0.051)
    assert (before, after) == (ModelSpec(variant).float32_bytes, stored_bytes(ModelSpec(variant), FLOAT16))


def test_exactly_the_four_big_tensors(weights):
    compressed = compress(SPEC, weights, FLOAT16)
    assert compressed.keys() == weights.keys()
    assert {name for name, value in compressed.items() if value.codec == FLOAT16} == BIG
    assert sum(value.nbytes for value in compressed.values()) == stored_bytes(SPEC, FLOAT16)
    for name, value in compressed.items():
        np.testing.assert_array_equal(value.decode(), weights[name].astype(value.codec.name))


@pytest.mark.parametrize(
    ("value", "text"),
    [(65504.1, "beyond float16"), (-7e4, "beyond"), (np.nan, "not finite"), (np.inf, "not finite")],
)
def test_names_the_weight_that_does_not_fit(weights, value, text):
    weights["gates/weights"][3, 5] = value
    weights["gates/weights"][4, 1] = 1e6
    with pytest.raises(UserError, match=rf"K4-H6: gates/weights\[3, 5\] = .* {text}.*\(2 such values\)"):
        compress(SPEC, weights, FLOAT16)


def test_largest_and_smallest_values_pass(weights):
    weights["gates/weights"][0, :3] = 65504, -65504, 1e-9
    weights["gating/weights"][0, 0] = 1e6  # stays float32
    compressed = compress(SPEC, weights, FLOAT16)
    assert compressed["gates/weights"].decode()[0, :3].tolist() == [65504, -65504, 0]
    assert compressed["gating/weights"].decode()[0, 0] == 1e6
