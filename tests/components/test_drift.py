"""Drift between two sets of videos: TFDV's numbers, what chance does, and what the step says and stops."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.drift.comparison import chance, compare, divergences, moved_classes
from components.drift.monitoring import monitor
from components.drift.report import DriftReport
from components.example_gen.distribution import Distribution, Distributions
from components.pusher.reference import Reference
from components.run_report.tables import conclusions
from tests.components.report_samples import run_document
from tests.records import random_example
from trainer.base.errors import UserError
from trainer.data.tfrecord import write_tfrecords

THRESHOLDS = {"classes": 0.02, "labels_per_video": 0.02, "frames": 0.02, "features": 0.1}
CLASSES = 500


def distribution(seed: int, videos: int = 3000, favoured: int = 0, **changed: Any) -> Distribution:
    """Of videos with Zipf's labels; class 7 is `favoured` times as frequent besides."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, CLASSES + 1)
    shares[7] *= 1 + favoured
    made = Distribution.empty(CLASSES)
    made.classes += rng.multinomial(3 * videos, shares / shares.sum())
    made.labels += np.bincount(np.minimum(1 + rng.poisson(2, videos), 64), minlength=65)
    made.frames += np.bincount(rng.integers(*changed.get("frames", (120, 301)), videos), minlength=301)
    values = rng.normal(changed.get("mean", 100), 20, (videos, 1152))
    made.sampled += videos
    made.sums += values.sum(axis=0)
    made.squares += np.square(values).sum(axis=0)
    return made


def drifted(new: Distribution, old: Distribution) -> set[str]:
    return {one.name for one in compare(new, old, THRESHOLDS) if one.is_drift}


@pytest.mark.slow
def test_samples_of_one_source_show_none_and_what_changes_is_what_is_named() -> None:
    old = distribution(0)
    assert drifted(distribution(1), old) == set()
    assert drifted(distribution(1, videos=100), old) == set(), "a small span is noisy, not different"
    assert drifted(distribution(1, favoured=10), old) == {"classes"}
    assert drifted(distribution(1, frames=(60, 301)), old) == {"frames"}
    assert drifted(distribution(1, mean=103), old) == {"features"}
    features = compare(distribution(1, mean=103), old, {"features": 0.1})[0]
    assert features.value == pytest.approx(3 / 20, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("skew", [False, True])
def test_the_divergence_is_that_of_its_definition(skew: bool) -> None:
    one, other = (distribution(seed, favoured=seed).classes for seed in (0, 5))
    (measure,) = divergences({"classes": one}, {"classes": other}, {"classes": 0.1}, skew=skew)
    p, q = one / one.sum(), other / other.sum()
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        bits = [np.nansum(x * np.log2(x / middle)) for x in (p, q)]
    assert measure.value == pytest.approx(sum(bits) / 2)
    assert measure.threshold == pytest.approx(0.1 + chance(one, other))


def test_the_classes_that_moved_most_come_first() -> None:
    old, new = np.array([50, 30, 20, 0]), np.array([55, 5, 20, 20])
    assert [(one.index, round(one.before, 2), round(one.now, 2)) for one in moved_classes(new, old)] == [
        (1, 0.3, 0.05),
        (3, 0.0, 0.2),
        (0, 0.5, 0.55),
    ]


class Served:
    """The artifacts of the step."""

    def __init__(self, directory: Path, new: Distribution, old: Distribution | None) -> None:
        from tfx.types import standard_artifacts

        from components.artifacts import Report

        self.data, self.report, self.model = Report(), Report(), standard_artifacts.Model()
        for name, artifact in (("data", self.data), ("report", self.report), ("model", self.model)):
            artifact.uri = str(directory / name)
            (directory / name).mkdir()
        Distributions(trained=new, newest=new, span=4).write(str(directory / "data"))
        model = directory / "model/Format-Serving"
        (model / Reference.FILE).parent.mkdir(parents=True)
        if old:
            Reference(trained=old).write(str(model))
        self.model.set_int_custom_property("served_version", 12)

    def check(self, stop: bool = False) -> DriftReport:
        from components.drift.executor import Executor

        Executor(None).Do(
            {"data": [self.data], "baseline": [self.model]},
            {"report": [self.report]},
            {"thresholds": json.dumps(THRESHOLDS), "stop": int(stop)},
        )
        return DriftReport.read(self.report.uri)


@pytest.mark.slow
def test_the_step_tells_and_stops_only_when_asked_to(tmp_path: Path) -> None:
    served = Served(tmp_path, distribution(1, favoured=10), distribution(0))
    report = served.check()
    assert (report.span, report.videos, report.served_version, report.served_videos) == (4, 3000, 12, 3000)
    assert report.moved[0].index == 7
    assert report.alert.startswith(
        "the new videos differ from those that version 12 was trained on: classes 0."
    )
    assert f"Drift: {report.alert}" in conclusions(run_document(drift=report))
    with pytest.raises(UserError, match=r"version 12 .*drift\.stop"):
        served.check(stop=True)


@pytest.mark.slow
def test_a_model_of_other_classes_is_refused_in_words(tmp_path: Path) -> None:
    old = distribution(0)
    served = Served(tmp_path, distribution(1), dataclasses.replace(old, classes=old.classes[:400]))
    with pytest.raises(
        UserError,
        match=r"version 12, which is served, has 400 classes, and data\.num_classes is 500: set",
    ):
        served.check()


@pytest.mark.slow
def test_a_model_that_does_not_say_what_it_was_trained_on_is_no_obstacle(tmp_path: Path) -> None:
    report = Served(tmp_path, distribution(1), None).check(stop=True)
    assert (report.measures, report.alert, report.served_version) == ((), None, None)


class Table:
    """A predictor that is as sure as it is told to be, of classes 0 to 19 or of those from 20 on."""

    def __init__(self, confidence: float, first: int = 0) -> None:
        self._confidence, self._first = confidence, first

    def predict(self, examples: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """The same for every video."""
        classes = np.tile(np.arange(self._first, self._first + 20), (len(examples), 1))
        return classes, np.full(classes.shape, self._confidence, np.float32)


@pytest.mark.slow
def test_predictions_are_compared_with_those_that_the_model_was_chosen_by(tmp_path: Path) -> None:
    path = str(tmp_path / "day.tfrecord")
    generator = np.random.default_rng(0)
    write_tfrecords(path, [random_example(generator, 2, (), b"%d" % number) for number in range(50)])
    reference = Reference(
        trained=distribution(0),
        scores=(*[0] * 10, 2000, *[0] * 9),
        predicted=dict.fromkeys(range(20), 50.0),
    )
    allowed = {"scores": 0.02, "predicted": 0.02, "classes": 0.02}
    found = {}
    for name, predictor in (("same", Table(0.52)), ("surer", Table(0.9)), ("other", Table(0.52, first=20))):
        report = monitor(predictor, [path], reference, allowed, version=3, batch_size=16)
        assert [one.name for one in report.measures] == ["scores", "predicted"], "nothing here has labels"
        found[name] = {one.name for one in report.measures if one.is_drift}
    assert found == {"same": set(), "surer": {"scores"}, "other": {"predicted"}}
    with pytest.raises(UserError, match="no valid video"):
        monitor(Table(0.5), [], reference, allowed, version=3)
