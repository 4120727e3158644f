import numpy as np
import pytest
import tensorflow as tf

from components.model_server_validator.probes import BATCH_SIZE, choose_probes
from components.model_server_validator.validation import mismatch, validate_server
from serving.client.client import PredictClient
from tests.records import random_example
from tests.serving.tiny_model import TinyModel, write_tiny_model
from trainer.base.errors import UserError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two files of 15 videos, of 1 to 6 frames."""
    generator = np.random.default_rng(0)
    directory = tmp_path_factory.mktemp("eval")
    paths = [str(directory / f"{number}.tfrecord") for number in range(2)]
    for path in paths:
        with tf.io.TFRecordWriter(path) as writer:
            for frames in (3, 4, 2, 5, 1, 6, *([3] * 9)):
                writer.write(random_example(generator, frames))
    return paths


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(str(tmp_path_factory.mktemp("model") / "m"))


def test_probes_have_the_shortest_and_the_longest_alone_and_in_company(files):
    probes = {probe.name: [video.num_frames for video in probe.videos] for probe in choose_probes(files)}
    assert probes["one"] == [3]
    assert probes["shortest"] == [1]
    assert probes["longest"] == [6]
    assert len(probes["batch"]) == BATCH_SIZE
    assert {1, 6} <= set(probes["batch"])


def test_no_video_is_the_users_error(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "bad.tfrecord")) as writer:
        writer.write(b"no video")
    with pytest.raises(UserError, match="no video in the split eval"):
        choose_probes([str(tmp_path / "bad.tfrecord")])


def test_a_model_that_is_served_as_it_is_gets_blessed(model, files):
    verdict = validate_server(model, choose_probes(files))
    assert verdict["blessed"], verdict
    assert [check["name"] for check in verdict["checks"]] == [
        "load",
        "one",
        "shortest",
        "longest",
        "batch",
        "bad_record",
    ]
    assert verdict["reasons"] == [check["text"] for check in verdict["checks"]]


class ShiftedModel(TinyModel):
    """Serves other scores than it predicts."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(self, examples):
        scores, classes = tf.math.top_k(self._dense(examples) + 2e-1, 20)
        return {"classes": tf.cast(classes, tf.int64), "scores": scores}


class CarelessModel(TinyModel):
    """Scores records without frames."""

    def _dense(self, examples):
        return super()._dense(examples + "x")


def save(model, directory):
    signatures = {name: getattr(model, name) for name in ("serving_default", "predictions")}
    tf.saved_model.save(model, str(directory), signatures=signatures)
    return str(directory)


def test_other_answers_than_the_models_own_are_not_blessed(tmp_path, files):
    verdict = validate_server(save(ShiftedModel(1.0), tmp_path / "m"), choose_probes(files))
    assert not verdict["blessed"]
    failed = [check["name"] for check in verdict["checks"] if not check["passed"]]
    assert failed == ["one", "shortest", "longest", "batch", "bad_record"]
    assert (
        "'batch' (16 videos, up to 6 frames) is answered with scores that differ by" in verdict["reasons"][3]
    )


def test_a_model_that_scores_anything_is_not_blessed(tmp_path, files):
    verdict = validate_server(save(CarelessModel(1.0), tmp_path / "m"), choose_probes(files))
    assert verdict["reasons"] == ["a record without frames is scored"]


def test_a_model_that_the_server_does_not_load_is_not_blessed(model, files, monkeypatch):
    def fail(*args):
        raise OSError("cannot be read")

    monkeypatch.setattr(tf.compat.v1.saved_model, "load", fail)
    verdict = validate_server(model, choose_probes(files))
    assert not verdict["blessed"]
    (reason,) = verdict["reasons"]
    assert "the model server does not load it" in reason
    assert "cannot be read" in reason


def test_a_server_that_fails_is_not_blessed(model, files, monkeypatch):
    predict = PredictClient.predict

    def fail(self, examples):
        return predict(self, [*examples, b""]) if len(examples) > 1 else predict(self, examples)

    monkeypatch.setattr(PredictClient, "predict", fail)
    verdict = validate_server(model, choose_probes(files))
    (reason,) = verdict["reasons"]
    assert "'batch' (16 videos, up to 6 frames) fails" in reason
    assert "INVALID_ARGUMENT" in reason


DENSE = np.float32([np.linspace(1, 0, 25), np.linspace(0, 1, 25)])


def best(dense):
    classes = np.argsort(-dense, axis=1, kind="stable")[:, :20]
    return classes.astype(np.int64), np.take_along_axis(dense, classes, axis=1)


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


def test_equal_answers_and_ties_in_any_order_match():
    classes, scores = best(DENSE)
    assert mismatch(classes, scores, DENSE) is None
    assert mismatch(classes, scores + np.float32(5e-6), DENSE) is None
    tied = np.zeros((1, 25), np.float32)
    assert mismatch(np.arange(24, 4, -1)[np.newaxis], np.zeros((1, 20), np.float32), tied) is None
    few = DENSE[:, :4]
    assert mismatch(*(array[:, :4] for array in best(few)), few) is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda classes, scores: (classes[:, :19], scores[:, :19]), "shapes"),
        (lambda classes, scores: (classes, changed(scores, (0, 3), np.nan)), "not finite"),
        (lambda classes, scores: (changed(classes, (0, 0), 25), scores), "outside 0..24"),
        (lambda classes, scores: (changed(classes, (0, 0), -1), scores), "outside 0..24"),
        (lambda classes, scores: (changed(classes, (1, 0), classes[1, 1]), scores), "twice"),
        (lambda classes, scores: (classes, scores + np.float32(1e-4)), "differ by 1.00e-04"),
        (lambda classes, scores: (classes[:, ::-1], scores), "differ by"),
        (lambda classes, scores: (changed(classes, (0, 19), 24), scores), "differ by"),
        (lambda classes, scores: (classes[::-1], scores[::-1]), "differ by"),
    ],
)
def test_what_differs_is_said(change, text):
    assert text in mismatch(*change(*best(DENSE)), DENSE)
