"""yt8m import-checkpoint: a model that answers as the same weights exported directly."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.cli.model.import_checkpoint import choose_members
from serving.export.card import ModelCard
from serving.export.saved_model import Member, write_saved_model
from serving.server.models.servable import Servable
from serving.server.models.warmup import run_warmup
from tests.records import random_example
from tests.trainer.damage import damages
from trainer.base.errors import UserError
from trainer.checkpoints.snapshots import write_tensors
from trainer.checkpoints.tf1_checkpoint import TF1_NAMES, read_tf1_checkpoint
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

CLASSES = 30


def invoke(*arguments):
    return CliRunner().invoke(app, ["import-checkpoint", *map(str, arguments)], catch_exceptions=True)


def test_answers_as_the_same_weights(tmp_path):
    spec = ModelSpec.parse("K4-H5", CLASSES)
    weights = initial_weights(spec, 1)
    write_tensors(
        str(tmp_path / "ckpt-9"), {f"tower/{TF1_NAMES[name]}": value for name, value in weights.items()}
    )
    out = tmp_path / "imported"
    result = invoke(
        "--variant", "K4-H5", tmp_path / "ckpt-9", "--out", out, "--num-classes", CLASSES, "--json"
    )
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["tensors"] == 32
    assert answer["bytes"] == spec.float32_bytes

    write_saved_model(str(tmp_path / "direct"), [Member(spec=spec, weights=weights)])
    generator = np.random.default_rng(0)
    examples = tf.constant([random_example(generator, frames) for frames in (1, 4)])
    predictions = [
        tf.saved_model.load(str(path)).signatures["predictions"](examples=examples)["predictions"].numpy()
        for path in (out, tmp_path / "direct")
    ]
    np.testing.assert_array_equal(*predictions)

    servable = Servable(str(out), "m", 1)
    assert run_warmup(servable, str(out)) == 2
    servable.close()


def test_leaves_an_existing_directory_alone(tmp_path):
    result = invoke("--variant", "K4-H5", tmp_path / "none", "--out", tmp_path)
    assert isinstance(result.exception, UserError)
    assert "exists already" in str(result.exception)


def test_a_wrong_prefix_writes_nothing(tmp_path):
    result = invoke("--variant", "K4-H5", tmp_path / "none", "--out", tmp_path / "out")
    with pytest.raises(UserError, match="not a TensorFlow checkpoint"):
        raise result.exception
    assert not (tmp_path / "out").exists()


SCOPES = {0: "tower/", 1: "tower/model1/"}
SPECS = {0: ModelSpec.parse("K4-H5", CLASSES), 1: ModelSpec.parse("K2-H3", CLASSES)}


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory):
    """Prefix of an authors' checkpoint of two members, with Adam slots, and the members' weights."""
    prefix = str(tmp_path_factory.mktemp("ensemble") / "model.ckpt-9")
    weights = {number: initial_weights(spec, number) for number, spec in SPECS.items()}
    tensors = {
        SCOPES[number] + TF1_NAMES[name]: value
        for number, values in weights.items()
        for name, value in values.items()
    }
    write_tensors(prefix, tensors | {f"{name}/Adam": value for name, value in tensors.items()})
    return prefix, weights


def predictions(directory):
    generator = np.random.default_rng(0)
    examples = tf.constant([random_example(generator, frames) for frames in (1, 4)])
    return (
        tf.saved_model.load(str(directory))
        .signatures["predictions"](examples=examples)["predictions"]
        .numpy()
    )


def test_an_ensemble_becomes_one_model_with_its_weights(ensemble, tmp_path):
    prefix, weights = ensemble
    members = [
        Member(spec=SPECS[number], weights=weights[number], weight=weight)
        for number, weight in ((1, 0.6), (0, 0.4))
    ]
    write_saved_model(str(tmp_path / "direct"), members)
    chosen = ["--member", "1:K2-H3:0.6", "--member", "0:K4-H5:0.4"]
    # The file that a file manager shows is taken for the checkpoint.
    result = invoke(*chosen, f"{prefix}.index", "--out", tmp_path / "out", "--num-classes", CLASSES, "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["tensors"] == 64
    assert answer["members"] == [
        {"member": 1, "variant": "K2-H3", "weight": 0.6},
        {"member": 0, "variant": "K4-H5", "weight": 0.4},
    ]
    np.testing.assert_array_equal(predictions(tmp_path / "out"), predictions(tmp_path / "direct"))
    assert [member.weight for member in ModelCard.load(str(tmp_path / "out")).members] == [0.6, 0.4]


@pytest.mark.parametrize(
    ("texts", "weights", "line"),
    [
        (["0:K4-H5:0.5", "1:K2-H3:0.5"], [0.5, 0.5], None),
        (["0:K4-H5:0.1", "1:K2-H3:0.2", "2:K2-H3:0.7"], [0.1, 0.2, 0.7], None),
        (["0:K4-H5:3", "1:K2-H3:1"], [0.75, 0.25], "the weights' sum is 4: scaled to 0.75, 0.25"),
        (["0:K4-H5:0", "1:K2-H3:0.5"], [0, 1], "the weights' sum is 0.5: scaled to 0, 1"),
        (["0:K4-H5", "1:K2-H3"], [0.5, 0.5], None),
        (["1:K2-H3"], [1], None),
    ],
)
def test_weights_have_the_sum_1_or_are_scaled_with_a_line(texts, weights, line, caplog):
    assert [one.weight for one in choose_members(None, texts)] == weights
    assert caplog.messages == ([line] if line else [])


@given(st.lists(st.floats(0, 1e300) | st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=5))
def test_any_weights_give_shares_or_are_refused(weights):
    try:
        chosen = choose_members(None, [f"{index}:K2-H3:{weight!r}" for index, weight in enumerate(weights)])
    except UserError:
        assert not all(weight >= 0 for weight in weights) or not 0 < sum(weights) < np.inf
        return
    shares = [one.weight for one in chosen]
    assert all(share >= 0 for share in shares)
    assert sum(shares) == pytest.approx(1)
    np.testing.assert_allclose(shares, np.array(weights) / sum(weights), rtol=1e-5)


@pytest.mark.parametrize(
    ("variant", "texts", "part"),
    [
        (None, [], "say what it is a checkpoint of"),
        (None, ["1"], "a member is i:Kx-Hy or i:Kx-Hy:WEIGHT"),
        (None, ["1:K2-H3:0.5:x"], "a member is i:Kx-Hy or i:Kx-Hy:WEIGHT"),
        (None, ["x:K2-H3"], "number of a member is 0, 1, 2"),
        (None, ["0:H3"], "an architecture is written like K24-H3"),
        (None, ["0:K2-H3:-1"], "must be a number of at least 0. Received: -1"),
        (None, ["0:K2-H3:nan"], "must be a number of at least 0. Received: nan"),
        (None, ["0:K2-H3:much"], "must be a number of at least 0. Received: much"),
        (None, ["0:K2-H3:0", "1:K2-H3:0"], "must have a positive, finite sum. Received: 0"),
        (None, ["0:K2-H3:1", "1:K2-H3"], "give all members a weight"),
        (None, ["0:K2-H3", "0:K2-H4"], "member 0 is given twice"),
        ("K2-H3", ["0:K2-H3"], "--variant is of a single model"),
        ("K2-H3", ["0", "1"], "--variant is of a single model"),
        ("K2-H3", ["one"], "number of a member is 0, 1, 2"),
    ],
)
def test_members_that_make_no_sense_are_refused_before_anything_is_read(variant, texts, part):
    with pytest.raises(UserError) as caught:
        choose_members(variant, texts)
    assert part in str(caught.value)


@settings(max_examples=60)
@given(damage=damages)
def test_a_damaged_checkpoint_names_the_file_or_gives_the_same_weights(ensemble, damage):
    prefix, weights = ensemble
    files = sorted(Path(prefix).parent.glob("model.ckpt-9.*"))
    with damage.done_to(files) as path:
        found, refused = None, ""
        try:
            found = read_tf1_checkpoint(prefix, SPECS[1], 1)
        except UserError as error:
            refused = str(error)
    if found is None:
        assert str(path) in refused
        return
    for name, value in weights[1].items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("model.ckpt-9.data-00000-of-00001", "model.ckpt-9.data-00000-of-00001: "),
        ("model.ckpt-9.index", "model.ckpt-9.index is missing"),
    ],
)
def test_a_missing_file_is_named_with_exit_code_2(ensemble, tmp_path, name, part):
    shutil.copytree(Path(ensemble[0]).parent, tmp_path / "copy")
    (tmp_path / "copy" / name).unlink()
    command = ["import-checkpoint", "--member", "1:K2-H3", str(tmp_path / "copy" / "model.ckpt-9")]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipeline.cli.main",
            *command,
            "--num-classes",
            "30",
            "--out",
            str(tmp_path / "out"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert part in line
    assert not (tmp_path / "out").exists()
