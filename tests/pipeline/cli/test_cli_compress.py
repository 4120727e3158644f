"""``yt8m compress``: an ensemble of ours to a smaller one, and what is refused before anything is read."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from serving.export.compression import stored_bytes
from serving.export.saved_model import Member, read_stored, write_saved_model
from serving.export.stored_form import StoredForm
from serving.export.vocabulary import Vocabulary
from tests.components.tiny_models import CLASSES, eval_shards, weights_of
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.model.model_spec import ModelSpec

FORM = "int4-b32+gating_prob/weights=lowrank-r6-int8"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    directory = tmp_path_factory.mktemp("compress")
    members = [
        Member(
            spec=ModelSpec.parse(name, CLASSES), weights=weights_of(name, seed), weight=weight, first_step=10
        )
        for seed, (name, weight) in enumerate((("K2-H3", 0.75), ("K3-H5", 0.25)))
    ]
    write_saved_model(
        str(directory / "versions" / "7"), members, vocabulary=Vocabulary({0: "Game", 3: "Cat, small"})
    )
    for split in ("train", "eval"):
        (directory / split).mkdir()
        eval_shards(directory / split, videos=20)
    return directory


def compress(*arguments):
    return CliRunner().invoke(app, ["compress", *map(str, arguments)], standalone_mode=False)


def test_an_ensemble_becomes_a_smaller_one(place):
    out = place / "small"
    options = [
        "--to",
        FORM,
        "--out",
        out,
        "--calibrate",
        place / "train" / "*",
        "--evaluate",
        place / "eval" / "*",
    ]
    done = compress(place / "versions", *options, "--calibration-videos", 15, "--json")
    assert done.exception is None, done.output
    result = json.loads(done.stdout)
    specs = [ModelSpec.parse(name, CLASSES) for name in ("K2-H3", "K3-H5")]
    assert result["bytes"] == sum(stored_bytes(spec, StoredForm.parse(FORM)) for spec in specs)
    assert result["source_bytes"] == sum(spec.float32_bytes for spec in specs)
    assert (result["calibration_videos"], result["variants"]) == (15, ["K2-H3", "K3-H5"])
    assert result["gap_lost"] == result["gap_before"] - result["gap_after"]
    card = json.loads((out / "assets.extra" / "card.json").read_text())
    assert [(member["weight"], member["first_step"]) for member in card["members"]] == [
        (0.75, 10),
        (0.25, 10),
    ]
    assert {name: value.codec.name for name, value in read_stored(str(out), 1).items()}[
        "gates/weights"
    ] == "int4-b32"
    assert Vocabulary.load(str(out / "assets" / "vocabulary.csv")).name(3) == "Cat, small"
    assert (out / "assets.extra" / "tf_serving_warmup_requests").exists()


def test_without_videos_values_are_rounded_by_themselves(place):
    done = compress(place / "versions", "--to", "int8")
    assert done.exception is None, done.output
    assert "yt8m evaluate --model" in done.stdout
    stored = read_stored(str(place / "versions-int8"))["experts/weights"]
    expected = StoredForm.parse("int8").codec.encode(weights_of("K2-H3", 0)["experts/weights"])
    np.testing.assert_array_equal(stored.parts["values"], expected["values"])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--to", "int5"], "a codec is written like"),
        (["--to", "int8", "--calibrate", "nowhere/*"], "nowhere"),
        (["--to", "int8+gating=int8"], "gating is no kernel of K2-H3, K3-H5"),
        (["--to", "int8", "--out", "gs://bucket/x"], "give a local path"),
        (["--to", "int8", "--out", "{model}/x"], "lies in a model"),
    ],
)
def test_refused_before_anything_is_written(place, options, text):
    (model,) = (place / "versions").iterdir()
    options = [option.format(model=model) for option in options]
    out = () if "--out" in options else ("--out", place / "not")
    done = compress(place / "versions", *out, *options)
    assert isinstance(done.exception, UserError)
    assert text in str(done.exception)
    assert not (place / "not").exists()
    assert not (model / "x").exists()


def test_limit_holds_at_n_bytes_and_not_at_one_less(place):
    needed = sum(
        stored_bytes(ModelSpec.parse(name, CLASSES), StoredForm.parse("int8")) for name in ("K2-H3", "K3-H5")
    )
    arguments = [place / "versions", "--to", "int8", "--out", place / "limited", "--limit-mib"]
    done = compress(*arguments, (needed - 1) / MIB)
    assert "over --limit-mib" in str(done.exception)
    assert not (place / "limited").exists()
    assert compress(*arguments, needed / MIB).exception is None
    again = compress(*arguments, needed / MIB)
    assert "exists already" in str(again.exception)


def test_videos_that_round_do_not_measure(place):
    files = place / "eval" / "*"
    done = compress(
        place / "versions", "--to", "int8", "--out", place / "not", "--calibrate", files, "--evaluate", files
    )
    assert "stands in --calibrate and in --evaluate" in str(done.exception)
