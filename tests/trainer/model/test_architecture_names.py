"""Names of architectures: what they say, and which are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiny_family import Stages
from trainer.base.errors import UserError
from trainer.model.architectures import ARCHITECTURES
from trainer.model.architectures.gated_net_vlad import GatedNetVlad
from trainer.model.model_spec import ModelSpec


@given(st.integers(2, 300), st.integers(1, 3000), st.integers(1, 9))
def test_names_of_gated_net_vlad_round_trip(clusters, hidden, mixtures):
    name = GatedNetVlad(clusters, hidden, mixtures).name
    assert ARCHITECTURES.parse(name) == GatedNetVlad(clusters, hidden, mixtures)
    assert ("M" in name) == (mixtures != 5)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("k24-h1440", "K24-H1440"),
        ("H1440-K24", "K24-H1440"),
        ("K24", "K24-H1440"),
        ("K32_H512", "K32-H512"),
        ("stages-w3", "Stages-W3"),
        ("Stage-W3", "Stages-W3"),
        ("", "K24-H1440"),
        ("NextVLAD-G8-K112-H2048", "NeXtVLAD-G8-K112-H2048"),
        ("nextvlad-k64-g4-h512-r8", "NeXtVLAD-G4-K64-H512-R8"),
        ("MLP2048", "MLP-H2048"),
        ("mlp-h512", "MLP-H512"),
        ("GRU-H600", "GRU-L2-H600"),
        ("LSTM-H600-L1", "LSTM-L1-H600"),
        ("transformer-l4", "Transformer-L4-H1152"),
        ("Chain-H512-S2", "Chain-S2-H512"),
        ("DBOF-K512-H64", "DBoF-K512-H64"),
        ("FV96-H12", "FV-K96-H12"),
        ("moe-h12", "MoE-M5-H12"),
        # As the literature and the first users' code call them.
        ("NetVLAD-K8-H256", "K8-H256"),
        ("GatedNetVLAD-K8-H256", "K8-H256"),
        ("NetVLADModelLF", "K24-H1440"),
        ("NetFV-K64-H512", "FV-K64-H512"),
        ("GatedDbofModelLF", "DBoF-K4096-H1024"),
    ],
)
def test_another_name_is_refused_with_the_nearest_right_one(name, nearest):
    assert Stages in ARCHITECTURES.kinds
    with pytest.raises(UserError, match=f"^an architecture is written like {nearest}. Received: '{name}'$"):
        ARCHITECTURES.parse(name)


@pytest.mark.parametrize("between", [" ", ";", "; "])
def test_several_names_are_told_of_commas(between):
    with pytest.raises(
        UserError, match=r"^several names are separated by commas, K24-H1440,K32-H1024\. Received"
    ):
        ARCHITECTURES.parse(f"K24-H1440{between}K32-H1024")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("NeXtVLAD-G8-K128-H2048-R8", 88_970_274), ("NeXtVLAD-G8-K112-H2048", 78_714_274)],
)
def test_next_vlad_has_the_parameters_of_its_authors(name, parameters):
    assert sum(tensor.size for tensor in ModelSpec.parse(name).tensors) == parameters


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("MLP-H2048", 1152 * 2048 + 4 * 2048 + 2048 * 3862 + 3862),
        ("Chain-S3-H1024", 19_180_098),
        ("MoE-M5-H512", 1152 * 512 + 4 * 512 + 512 * 3862 * 11 + 3862 * 5),
    ],
)
def test_families_on_the_mean_frame_have_the_parameters_that_are_said_of_them(name, parameters):
    assert sum(tensor.size for tensor in ModelSpec.parse(name).tensors) == parameters


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("NeXtVLAD-G6-K8-H32", "groups must be a power of two"),
        ("NeXtVLAD-G1024-K8-H32", "groups must be a power of two"),
        ("NeXtVLAD-G8-K8-H8", r"at least the squeeze factor, 16 .*Received: hidden_size=8"),
        ("Transformer-L2-H100", r"multiple of the heads, which are 12 .*Received: hidden_size=100"),
        ("DBoF-K8-H8", "num_words must be at least 16"),
    ],
)
def test_sizes_that_do_not_fit_each_other_are_refused(name, what):
    with pytest.raises(UserError, match=what):
        ARCHITECTURES.parse(name)


def test_a_size_below_its_minimum_is_refused():
    with pytest.raises(UserError, match=r"cluster_size must be at least 2. Received: cluster_size=1"):
        GatedNetVlad(1, 8)
    with pytest.raises(UserError, match=r"hidden_size must be at least 1. Received: hidden_size=0"):
        ARCHITECTURES.parse("K8-H0")
