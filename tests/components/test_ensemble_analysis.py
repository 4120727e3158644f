"""Where an ensemble is good: equal to the plain metrics of the same videos."""

import dataclasses

import numpy as np
import pytest

from components.ensemble_assembler.analysis import LISTED, analyse
from components.ensemble_assembler.score_file import EvalScores, ScoreFile
from serving.export.vocabulary import Vocabulary
from trainer.metrics.video_metrics import VideoMetrics

VIDEOS, CLASSES = 1100, 130  # more than two blocks; fewer classes than the two lists hold with 10 labels each
WEIGHTS = (0.75, 0.25)
VOCABULARY = Vocabulary(
    {0: "Game", 2: "Dog"}, {0: ("Games",), 1: ("Games", "Sports"), 2: ("Pets",), CLASSES + 5: ("Nowhere",)}
)


@pytest.fixture(scope="module")
def truth():
    """Scores of two models and the labels; the common classes are on every third video."""
    rng = np.random.default_rng(0)
    frequency = 0.3 * np.exp(-np.arange(CLASSES) / 18)
    labels = rng.random((VIDEOS, CLASSES)) < frequency
    labels[:, 2] = False
    scores = [
        np.clip(rng.random((VIDEOS, CLASSES)) * 0.6 + 0.3 * labels, 0, 1).astype(np.float32) for _ in range(2)
    ]
    return scores, labels


@pytest.fixture(scope="module")
def data(truth, tmp_path_factory):
    directory = tmp_path_factory.mktemp("scores")
    scores, labels = truth
    files = tuple(
        ScoreFile.write(str(directory / str(place)), [one], CLASSES, np.float32)
        for place, one in enumerate(scores)
    )
    return EvalScores(files, ScoreFile.write(str(directory / "labels"), [labels], CLASSES, np.bool_))


def mixed(truth):
    (one, other), _ = truth
    return one * np.float32(WEIGHTS[0]) + other * np.float32(WEIGHTS[1])


def test_verticals_are_measured_on_their_videos(truth, data):
    labels = truth[1]
    found = analyse(data, (0, 1), WEIGHTS, VOCABULARY)["verticals"]
    for name, classes in (("Games", [0, 1]), ("Sports", [1])):
        rows = labels[:, classes].any(axis=1)
        metrics = VideoMetrics(CLASSES)
        metrics.update(mixed(truth)[rows], labels[rows])
        (one,) = [one for one in found if one["name"] == name]
        assert one["metrics"] == pytest.approx(dataclasses.asdict(metrics.result()), abs=1e-9)
    assert [one["name"] for one in found] == ["Games", "Sports"], "the largest first; Pets has no video"
    assert analyse(data, (0, 1), WEIGHTS)["verticals"] == []


def test_classes_by_average_precision(truth, data):
    labels = truth[1]
    classes = analyse(data, (0, 1), WEIGHTS, VOCABULARY)["classes"]
    metrics = VideoMetrics(CLASSES)
    metrics.update(mixed(truth), labels)
    precisions, counts = metrics.class_average_precisions()
    least = classes["least_labels"]
    assert least == min(10, np.sort(counts)[::-1][2 * LISTED - 1])
    assert classes["ranked"] == (counts >= least).sum()
    assert classes["measured"] == (counts > 0).sum()
    best, worst = ([row["average_precision"] for row in classes[which]] for which in ("best", "worst"))
    assert best == sorted(best, reverse=True)
    assert worst == sorted(worst)
    assert min(best) >= max(worst)
    assert max(best) == precisions[counts >= least].max()
    assert min(worst) == precisions[counts >= least].min()
    listed = [row["class"] for which in ("best", "worst") for row in classes[which]]
    assert len(listed) == len(set(listed)) == min(2 * LISTED, classes["ranked"])
    names = {row["class"]: row["name"] for which in ("best", "worst") for row in classes[which]}
    assert names[0] == "Game"
    assert names[1] == "class 1"


def test_calibration_is_of_the_twenty_best_pairs(truth, data):
    found = analyse(data, (0, 1), WEIGHTS)["calibration"]
    assert found["pairs"] == 20 * VIDEOS == sum(one["pairs"] for one in found["bins"])
    assert 0 < found["error"] < 1
