"""Scores of SavedModels on files."""

import numpy as np
import pytest
import tensorflow as tf

from serving.export.saved_model import FRAME_PREDICTIONS, Member, write_saved_model
from serving.inference.scoring import SavedModelScorer, score_videos
from tests.records import write_shards
from trainer.data.encoding import encode_frames, sequence_example
from trainer.data.records import parse_video, read_videos
from trainer.data.yt8m import NUM_CLASSES
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

CLASSES = 30
SPEC = ModelSpec.parse("K4-H8", CLASSES)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), shards=2, videos=9, num_classes=CLASSES)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("model"))
    weights = initial_weights(SPEC, 1)
    write_saved_model(directory, [Member(spec=SPEC, weights=weights)])
    return directory


def test_scores_are_those_of_the_records(files, model):
    videos = [video for path in files for video in read_videos(path, CLASSES)]
    examples = tf.constant([video.sequence_example for video in videos])
    expected = tf.saved_model.load(model).signatures["predictions"](examples=examples)["predictions"]
    scored = list(score_videos(SavedModelScorer(model), files, batch_size=4))
    assert [video for batch, _ in scored for video in batch] == videos
    np.testing.assert_allclose(np.concatenate([scores for _, scores in scored]), expected, atol=1e-6)


def test_a_model_of_before_there_was_the_signature_is_scored_by_its_records(files, model, monkeypatch):
    new = SavedModelScorer(model)
    loaded = tf.saved_model.load(model)
    signatures = {name: loaded.signatures[name] for name in ("serving_default", "predictions")}
    monkeypatch.setattr(tf.saved_model, "load", lambda directory: _Loaded(signatures))
    old = SavedModelScorer(model)
    assert FRAME_PREDICTIONS not in signatures
    videos = list(read_videos(files[0], CLASSES))
    np.testing.assert_allclose(old.scores(videos), new.scores(videos), atol=1e-6)


def test_labels_of_models_with_more_classes_than_the_data_set(tmp_path):
    classes = NUM_CLASSES + 10
    spec = ModelSpec.parse("K4-H8-M1", classes)
    write_saved_model(str(tmp_path), [Member(spec=spec, weights=initial_weights(spec, 1))])
    frames = [encode_frames(np.zeros((2, size), np.uint8)) for size in (1024, 128)]
    video = parse_video(sequence_example(b"a", [NUM_CLASSES + 5], *frames), classes)
    assert SavedModelScorer(str(tmp_path)).scores([video]).shape == (1, classes)


class _Loaded:
    def __init__(self, signatures):
        self.signatures = signatures
