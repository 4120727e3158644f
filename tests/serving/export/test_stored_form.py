"""Names of stored forms, and which codec each tensor gets."""

import pytest

from serving.export.codecs import CODECS, FLOAT16, FLOAT32
from serving.export.compression import stored_bytes
from serving.export.stored_form import StoredForm
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.model.architectures.gated_net_vlad import TABLE1
from trainer.model.model_spec import ModelSpec

SPEC = ModelSpec.parse("K4-H6", 10)
COMPACT = "int4-b128+gating_prob/weights=lowrank-r256-int8"


@pytest.mark.parametrize("name", ["float16", "int4-b64", COMPACT, "int8+a=float32+b/c=sparse-k10-int8"])
def test_names_are_read_and_written(name):
    form = StoredForm.parse(name)
    assert form.name == str(form) == name
    assert StoredForm.parse(form.name) == form


def test_codecs_of_the_tensors():
    form = StoredForm.parse(COMPACT)
    codecs = {tensor.name: form.codec_of(tensor) for tensor in SPEC.tensors}
    assert codecs["hidden1/weights"] == CODECS.parse("int4-b128")
    assert codecs["gating_prob/weights"] == CODECS.parse("lowrank-r256-int8")
    assert codecs["hidden2/weights"] == FLOAT32
    assert StoredForm.of(SPEC, codecs) == form


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("int4", "a codec is written like int4-b128. Received: 'int4'"),
        ("int8+gates/weights", "a stored form is written like int8, or like"),
        ("int8+=int8", "a stored form is written like"),
        ("int8+gates/weights=int9", "a codec is written like int8"),
    ],
)
def test_what_is_no_form(name, text):
    with pytest.raises(UserError, match=text):
        StoredForm.parse(name)


def test_a_small_kernel_that_is_named_is_stored_so_and_biases_never_are():
    form = StoredForm.parse("int8+gating/weights=float16+hidden2/biases=float16+hidden2/weights=int8")
    codecs = {tensor.name: form.codec_of(tensor) for tensor in SPEC.tensors}
    assert codecs["gating/weights"] == FLOAT16
    assert codecs["gates/weights"] == codecs["hidden2/weights"] == CODECS.parse("int8")
    assert codecs["hidden2/biases"] == codecs["gating/bn/gamma"] == FLOAT32
    assert StoredForm.of(SPEC, codecs).name == "int8+gating/weights=float16+hidden2/weights=int8"


def test_tensors_that_no_model_has():
    StoredForm.parse(COMPACT).check(SPEC)
    with pytest.raises(
        UserError,
        match=r"gating_prob is no kernel of K4-H6; those are audio_vlad/.*, experts/weights, gates/weights",
    ):
        StoredForm.parse("int8+gating_prob=float16").check(SPEC)
    with pytest.raises(UserError, match="hidden2/biases is no kernel"):
        StoredForm.parse("int8+hidden2/biases=float16").check(SPEC)


@pytest.mark.parametrize(
    ("variant", "form", "mib"),
    [
        ("K8-H256", "int8", 38.98),
        ("K4-H128", "int8", 25.85),
        ("K8-H256", "int4-b128", 20.84),
        ("K8-H256", "int4-b32", 22.58),
        ("K8-H256", "int8+gating_prob/weights=lowrank-r256-int8", 26.63),
        ("K8-H256", COMPACT, 15.39),
        ("K4-H128", COMPACT, 8.06),
    ],
)
def test_sizes_are_those_of_the_packing(variant, form, mib):
    assert stored_bytes(ModelSpec.parse(variant), StoredForm.parse(form)) / MIB == pytest.approx(
        mib, abs=0.0051
    )


def test_the_18_of_table_1_fit_together_in_the_compact_form():
    together = sum(stored_bytes(ModelSpec(variant), StoredForm.parse(COMPACT)) for variant in TABLE1)
    assert together / MIB == pytest.approx(1005.99, abs=0.0051)
