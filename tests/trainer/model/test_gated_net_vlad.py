"""Sizes against the paper's Table 1, and the 32 tensors."""

import pytest

from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.model.architectures import ARCHITECTURES
from trainer.model.architectures.gated_net_vlad import GRID28, TABLE1, GatedNetVlad
from trainer.model.model_spec import ModelSpec

# variant: float32 MiB, float16 MiB (the paper, Table 1)
PAPER_SIZES = {
    "K24-H1440": (714.93, 381.40),
    "K32-H1280": (679.73, 358.85),
    "K100-H800": (663.87, 339.76),
    "K16-H1280": (594.59, 316.21),
    "K32-H1024": (549.24, 286.85),
    "K20-H960": (469.18, 245.31),
    "K16-H800": (384.27, 199.61),
    "K64-H512": (365.53, 186.11),
    "K100-H400": (357.21, 180.93),
    "K32-H600": (339.72, 174.20),
    "K32-H512": (297.27, 151.85),
    "K16-H512": (263.13, 134.71),
    "K8-H512": (246.07, 126.15),
    "K16-H400": (217.05, 110.50),
    "K10-H400": (207.04, 105.47),
    "K32-H256": (175.78, 88.85),
    "K10-H300": (168.87, 85.58),
    "K16-H256": (158.65, 80.21),
}


@pytest.mark.parametrize("name", PAPER_SIZES)
def test_bytes_are_the_papers(name):
    spec = ModelSpec.parse(name)
    float32, float16 = PAPER_SIZES[name]
    assert spec.float32_bytes / MIB == pytest.approx(float32, abs=0.005)
    assert stored_bytes(spec, FLOAT16) / MIB == pytest.approx(float16, abs=0.005)


def test_table1_is_sorted_by_decreasing_size_and_part_of_the_grid():
    sizes = [ModelSpec(variant).float32_bytes for variant in TABLE1]
    assert [str(variant) for variant in TABLE1] == list(PAPER_SIZES)
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(GRID28)) == 28
    assert set(TABLE1) < set(GRID28)


def test_the_32_tensors_of_k8_h256():
    batch_norm = ("beta", "gamma", "moving_mean", "moving_variance")
    expected = {
        "video_vlad/cluster_weights": (1024, 8),
        "video_vlad/cluster_centers": (1, 1024, 8),
        **{f"video_vlad/bn/{name}": (8,) for name in batch_norm},
        "audio_vlad/cluster_weights": (128, 4),
        "audio_vlad/cluster_centers": (1, 128, 4),
        **{f"audio_vlad/bn/{name}": (4,) for name in batch_norm},
        "hidden1/weights": (8704, 256),
        **{f"hidden1/bn/{name}": (256,) for name in batch_norm},
        "hidden2/weights": (256, 512),
        "hidden2/biases": (512,),
        "gating/weights": (512, 512),
        **{f"gating/bn/{name}": (512,) for name in batch_norm},
        "gates/weights": (512, 23172),
        "experts/weights": (512, 19310),
        "experts/biases": (19310,),
        "gating_prob/weights": (3862, 3862),
        **{f"gating_prob/bn/{name}": (3862,) for name in batch_norm},
    }
    specs = ModelSpec.parse("K8-H256").tensors
    assert len(specs) == 32
    assert {spec.name: spec.shape for spec in specs} == expected
    assert {spec.name for spec in specs if spec.compressible} == {
        "hidden1/weights",
        "gates/weights",
        "experts/weights",
        "gating_prob/weights",
    }
    assert sum(not spec.trainable for spec in specs) == 10


def test_odd_cluster_sizes_round_audio_down():
    specs = {spec.name: spec.shape for spec in GatedNetVlad(5, 4).tensor_specs(10)}
    assert specs["audio_vlad/cluster_weights"] == (128, 2)
    assert specs["hidden1/weights"] == (1024 * 5 + 128 * 2, 4)


@pytest.mark.parametrize("name", ["K24", "24-1440", "K24-H", "K1-H8", "K8-H0", "", "k8-h8", "K8-H8 K9-H9"])
def test_what_is_no_variant_is_refused(name):
    with pytest.raises(UserError, match="Received"):
        ARCHITECTURES.parse(name)
