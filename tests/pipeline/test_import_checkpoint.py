"""yt8m import-checkpoint: a model that answers as the same weights exported directly."""

import json

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from pipeline.cli.main import app
from serving.saved_model import Member, write_saved_model
from serving.servable import Servable
from serving.warmup import run_warmup
from tests.records import random_example
from trainer.errors import UserError
from trainer.model_spec import ModelSpec
from trainer.snapshots import write_tensors
from trainer.tf1_checkpoint import TF1_NAMES
from trainer.weights import initial_weights

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
