"""Models that cannot be scored are told from those that can, each with its reason."""

import shutil
import time
from pathlib import Path

import pytest
import tensorflow as tf

from serving.inference.load_check import load_problem
from tests.serving.tiny_model import TinyModel, write_tiny_model

DATA = "variables/variables.data-00000-of-00001"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(write_tiny_model(str(tmp_path_factory.mktemp("whole") / "1")))


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "1"))


def test_a_model_that_answers_has_no_problem(model):
    began = time.monotonic()
    assert load_problem(str(model)) is None
    assert time.monotonic() - began < 20


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda model: shutil.rmtree(model / "variables"), "has no variables/variables.index"),
        (lambda model: (model / "saved_model.pb").unlink(), "has no saved_model.pb"),
        (lambda model: (model / "saved_model.pb").write_bytes(b"nonsense"), "does not load: "),
        (lambda model: (model / DATA).unlink(), "is damaged: "),
        (lambda model: (model / DATA).write_bytes(b""), "is damaged: "),
        (lambda model: flip(model / DATA), "does not load: "),
    ],
)  # fmt: skip
def test_a_broken_model_is_named_with_its_reason(model, damage, problem):
    damage(model)
    assert load_problem(str(model)).startswith(problem)


TINY = TinyModel(1.0)


def saved(directory: Path, **signatures) -> str:
    module = tf.Module()
    module.kept, module.variables_of = list(signatures.values()), TINY
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return str(directory)


def test_signatures_are_looked_at(tmp_path):
    text = tf.TensorSpec([None], tf.string, name="examples")
    other = tf.TensorSpec([None], tf.string, name="texts")
    lengths = tf.function(lambda texts: {"predictions": tf.strings.length(texts)}, input_signature=[other])
    flat = tf.function(
        lambda examples: {"predictions": tf.cast(tf.strings.length(examples), tf.float32)},
        input_signature=[text],
    )

    @tf.function(input_signature=[text])
    def refusing(examples):
        check = tf.debugging.Assert(tf.reduce_any(examples == "x"), ["no video for me"])
        with tf.control_dependencies([check]):
            return {"predictions": tf.zeros([1, 3])}

    problems = {
        "other": load_problem(saved(tmp_path / "a", serving_default=TINY.serving_default)),
        "input": load_problem(saved(tmp_path / "b", predictions=lengths)),
        "shape": load_problem(saved(tmp_path / "c", predictions=flat)),
        "refuses": load_problem(saved(tmp_path / "d", predictions=refusing)),
    }
    assert problems["other"] == "has no signature 'predictions' (it has serving_default)"
    assert "does not lead from 'examples'" in problems["input"]
    assert problems["shape"].startswith("answers for one video with (1,) numbers")
    assert problems["refuses"].startswith("loads, but does not answer for a video: ")
    assert "no video for me" in problems["refuses"]
