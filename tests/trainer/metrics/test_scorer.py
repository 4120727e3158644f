"""Scores, and the statistics of an average's activations."""

import numpy as np
import pytest

from tests.records import write_shards
from trainer.data.input_pipeline import eval_batches
from trainer.metrics.scorer import Scorer, evaluate
from trainer.model.frames import dequantize
from trainer.model.model_spec import ModelSpec
from trainer.model.training_pass import TrainingPass
from trainer.model.weights import initial_weights

CLASSES = 12
SPEC = ModelSpec.parse("K4-H6", CLASSES)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return write_shards(tmp_path_factory.mktemp("shards"), shards=2, videos=9, num_classes=CLASSES)


@pytest.fixture(scope="module")
def scorer():
    scorer = Scorer(SPEC)
    scorer.load(initial_weights(SPEC, 3))
    return scorer


def test_statistics_are_those_of_all_frames_in_one_batch(scorer, shards):
    measured = scorer.statistics(eval_batches(shards, 6, CLASSES))
    weights = initial_weights(SPEC, 3)
    assert sorted(measured) == sorted(tensor.name for tensor in SPEC.tensors if not tensor.trainable)
    # By hand for videos of one frame, where nothing is repeated: the first normalisation sees frames @ W.
    (batch,) = eval_batches(shards, 18, CLASSES)
    frames = dequantize(batch["frames"][:, :1])
    single = {"frames": batch["frames"][:, :1], "num_frames": np.ones(18, np.int32)}
    halves = [{key: value[part] for key, value in single.items()} for part in (slice(5), slice(5, 18))]
    unit = (frames.rgb.values * frames.scale[:, :, np.newaxis]).numpy()[:, 0]
    activation = unit @ weights["video_vlad/cluster_weights"]
    for batches in ([single], halves):
        result = scorer.statistics(batches)
        np.testing.assert_allclose(result["video_vlad/bn/moving_mean"], activation.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(result["video_vlad/bn/moving_variance"], activation.var(axis=0), atol=1e-5)
    training = TrainingPass()
    SPEC.architecture.forward(frames, None, weights, training=training)
    whole = scorer.statistics([single])
    for name, value in training.moments.items():
        np.testing.assert_allclose(whole[name], value, atol=1e-5)


def test_evaluation_does_not_depend_on_the_batch_size(scorer, shards):
    results = [evaluate(scorer, shards, batch_size) for batch_size in (1, 5, 18)]
    assert results[0].videos == 18
    assert [result.gap for result in results[1:]] == pytest.approx([results[0].gap] * 2)


def test_evaluation_stops_at_the_limit(scorer, shards):
    assert evaluate(scorer, shards, 4, limit=7).videos == 7
