"""`yt8m sizes` for families and for stored forms."""

import json

import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.cli.training.sizes import USUAL_FORMS
from serving.export.compression import stored_bytes
from serving.export.stored_form import StoredForm
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.model.architectures import ARCHITECTURES
from trainer.model.model_spec import ModelSpec


def sizes(*arguments):
    return CliRunner().invoke(app, ["sizes", *arguments])


def test_families_are_listed_with_the_grammar_of_their_names_and_an_example():
    rows = json.loads(sizes("--families", "--json").stdout)
    assert {row["family"] for row in rows} == {kind.PREFIX for kind in ARCHITECTURES.kinds}
    for row in rows:
        spec = ModelSpec.parse(row["example"])
        assert row["float32_mib"] == pytest.approx(spec.float32_bytes / MIB, abs=1e-4)
    text = sizes("--families").stdout
    for row in rows:
        assert row["name"] in text
        assert row["title"] in text
        assert f"{row['example']} has {row['float32_mib']:.2f} MiB in float32" in text
    (chain,) = (row for row in rows if row["family"] == "Chain")
    assert chain["defaults"] == {"narrow_size": 256}


def test_usual_forms_and_those_that_are_named():
    mine = "int4-b64+gating/weights=int8"
    rows = json.loads(sizes("--variants", "K8-H512,MLP-H64", "--forms", "--form", mine, "--json").stdout)
    for row in rows:
        spec = ModelSpec.parse(row["variant"])
        assert row["forms"] == {
            form: pytest.approx(stored_bytes(spec, StoredForm.parse(form)) / MIB, abs=1e-4)
            for form in (*USUAL_FORMS, mine)
        }
    # Forms that name tensors of other families are left out.
    (row,) = json.loads(sizes("--variants", "MLP-H64", "--forms", "--json").stdout)
    assert set(row["forms"]) == {form for form in USUAL_FORMS if "+" not in form}
    table = sizes("--variants", "K8-H512,MLP-H64", "--form", mine, "--form", "int8").stdout.splitlines()
    assert table[:2] == [f"[1] {mine}", "[2] int8"]
    together = sum(row["forms"][mine] for row in rows)
    assert table[-1].split()[0] == "together"
    assert table[-1].split()[2] == f"{together:.2f}"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--families", "--variants", "K8-H8"], "leave out --variants, or --families"),
        (["--families", "--form", "int8"], "leave out --form, or --families"),
        (["--families", "--forms"], "leave out --forms, or --families"),
        (["--form", "int4-b0"], "int4-b0: block must be at least 1"),
        (["--variants", "K0-H8"], "K0-H8: cluster_size must be at least 2"),
        (["--form", "int4"], "a codec is written like int4-b128"),
        (
            ["--variants", "MLP-H64", "--form", "int8+gating/weights=int8"],
            "gating/weights is no kernel of MLP-H64",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(arguments, text):
    done = sizes(*arguments)
    assert isinstance(done.exception, UserError)
    assert text in str(done.exception)
