"""The averager: which candidates are tried, and that the best of them is what is written."""

import os

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.checkpoint_averager.averager import average_checkpoints
from components.checkpoint_averager.config import AveragingConfig
from components.checkpoint_averager.ranges import automatic_ranges, configured_ranges, single_indices
from components.checkpoint_averager.search import search
from serving.export.card import ModelCard
from serving.export.saved_model import read_weights
from tests.components.tiny_models import CLASSES, eval_shards, weights_of
from trainer.base.errors import UserError
from trainer.checkpoints.range import Range
from trainer.checkpoints.snapshots import list_snapshots, read_snapshot, write_snapshot
from trainer.data.input_pipeline import eval_batches
from trainer.metrics.scorer import Scorer, evaluate
from trainer.model.model_spec import ModelSpec

STEPS = [10, 20, 30, 40, 50]


def write_values(directory, values):
    for step, value in zip(STEPS, values, strict=True):
        write_snapshot(str(directory), step, {"w": np.array([value], np.float32)})
    return list_snapshots(str(directory))


def closeness(target):
    """A GAP that is best where the weight is near a target."""
    return lambda weights: 1 / (1 + abs(float(weights["w"][0]) - target))


def test_singles_count_back_from_the_last():
    assert single_indices(5, 1) == [0, 1, 2, 3, 4]
    assert single_indices(5, 2) == [0, 2, 4]
    assert single_indices(5, 9) == [4]


def test_configured_ranges_by_fraction_and_step(caplog):
    config = AveragingConfig(fractions=[(0.5, 1.0), (0.0, 0.4)], steps=[(20, 39), (60, 90)])
    assert configured_ranges(config, STEPS) == [Range(1, 2), Range(2, 4), Range(0, 1)]
    assert "steps [60, 90]" in caplog.text


@given(st.integers(1, 60).flatmap(lambda count: st.tuples(st.just(count), st.integers(0, count - 1))))
def test_automatic_ranges_lie_around_the_best(place):
    count, best = place
    ranges = automatic_ranges(count, best)
    assert len(ranges) <= 12
    assert bool(ranges) == (count > 1)
    for one in ranges:
        assert 0 <= one.first <= best <= one.last < count
        assert one.count > 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"fractions": [(0.5, 1.2)]},
        {"steps": [(9, 3)]},
        {"single_every": 0},
        {"ranges": []},
        {"decays": [1.0]},
    ],
)
def test_refuses_a_wrong_configuration(wrong):
    with pytest.raises(ValidationError):
        AveragingConfig.model_validate(wrong)


def test_keeps_the_best_average(tmp_path):
    snapshots = write_values(tmp_path, [9, 1, 3, 1, 3])
    config = AveragingConfig(steps=[(20, 50), (40, 50), (10, 20)], automatic=False)
    found = search(snapshots, config, closeness(2.0), str(tmp_path))
    assert (found.best.kind, found.best.first_step, found.best.last_step, found.best.snapshots) == (
        "average", 20, 50, 4,
    )  # fmt: skip
    assert found.best.gap == 1.0
    assert found.weights["w"] == [2.0]
    assert len(found.candidates) == 8


def test_moving_averages_are_candidates(tmp_path):
    snapshots = write_values(tmp_path, [0, 0, 0, 0, 8])
    # (8 + 0.5 * 0 + ...) / (1 + 0.5 + 0.25 + 0.125 + 0.0625)
    target = 8 / 1.9375
    found = search(snapshots, AveragingConfig(decays=[0.5, 0.9]), closeness(target), str(tmp_path))
    assert (found.best.kind, found.best.decay, found.best.snapshots) == ("average", 0.5, 5)
    assert found.weights["w"][0] == pytest.approx(target)
    assert str(found.best) == "moving average (decay 0.5) of 5 snapshots, steps 10 to 50"
    assert sorted(one.decay for one in found.candidates if one.decay) == [0.5, 0.9]
    assert "decays" not in AveragingConfig().model_dump()  # or no average would come from older caches


def test_a_single_snapshot_wins_where_averages_are_worse(tmp_path):
    snapshots = write_values(tmp_path, [9, 9, 0, 9, 9])
    found = search(snapshots, AveragingConfig(), closeness(0.0), str(tmp_path))
    assert (found.best.kind, found.best.last_step) == ("single", 30)
    assert found.weights["w"] == [0.0]
    assert found.best_of("average").gap < found.best.gap


@given(values=st.lists(st.floats(-5, 5, width=32), min_size=5, max_size=5), every=st.integers(1, 6))
def test_never_worse_than_any_single(tmp_path_factory, values, every):
    directory = tmp_path_factory.mktemp("values")
    snapshots = write_values(directory, values)
    measured = []

    def measure(weights):
        measured.append(closeness(1.0)(weights))
        return measured[-1]

    found = search(snapshots, AveragingConfig(single_every=every), measure, str(directory))
    assert found.best.gap == max(measured)
    assert found.best.gap == closeness(1.0)(found.weights)
    assert len(found.candidates) == len(measured)


def test_one_snapshot_is_the_only_candidate(tmp_path):
    write_snapshot(str(tmp_path), 7, {"w": np.ones(1, np.float32)})
    found = search(
        list_snapshots(str(tmp_path)), AveragingConfig(fractions=[(0.0, 1.0)]), closeness(0.0), str(tmp_path)
    )
    assert [(one.kind, one.last_step, one.snapshots) for one in found.candidates] == [("single", 7, 1)]
    assert found.best_of("average") is None


def test_leaves_out_what_is_not_finite(tmp_path):
    snapshots = write_values(tmp_path, [5, 4, 3, np.nan, np.inf])
    found = search(snapshots, AveragingConfig(steps=[(20, 30), (30, 40)]), closeness(0.0), str(tmp_path))
    assert found.best.last_step == 30
    assert all(np.isfinite(one.gap) and one.last_step <= 30 for one in found.candidates)
    (tmp_path / "all").mkdir()
    with pytest.raises(UserError, match="diverged"):
        search(write_values(tmp_path / "all", [np.nan] * 5), AveragingConfig(), closeness(0.0), str(tmp_path))


def test_writes_the_best_candidate_of_a_real_model(tmp_path):
    files = eval_shards(tmp_path)
    spec = ModelSpec.parse("K3-H4", CLASSES)
    spec.save(str(tmp_path / "snapshots"))
    for step in STEPS:
        write_snapshot(str(tmp_path / "snapshots"), step, weights_of("K3-H4", step))
    model = str(tmp_path / "model")
    report = average_checkpoints(str(tmp_path / "snapshots"), files, model, AveragingConfig())

    assert report.variant == "K3-H4"
    assert report.videos == 30
    assert report.best == max(report.candidates, key=lambda one: (one.gap, one.snapshots))
    assert report.best.gap >= report.best_single.gap
    (member,) = ModelCard.load(model).members
    assert (member.gap, member.first_step, member.last_step, member.snapshots) == tuple(
        getattr(report.best, key) for key in ("gap", "first_step", "last_step", "snapshots")
    )
    inside = [
        read_snapshot(snapshot.prefix)
        for snapshot in list_snapshots(str(tmp_path / "snapshots"))
        if member.first_step <= snapshot.step <= member.last_step
    ]
    written = read_weights(model)
    for name, value in written.items():
        assert value.dtype == np.float32
        mean = np.mean([weights[name] for weights in inside], axis=0, dtype=np.float64)
        np.testing.assert_allclose(value, mean, rtol=1e-6, atol=1e-9)
    scorer = Scorer(spec)
    scorer.load(written)
    assert evaluate(scorer, files).gap == pytest.approx(member.gap, abs=1e-6)
    assert tf.saved_model.contains_saved_model(model)


def test_a_damaged_snapshot_is_left_out_with_a_line(tmp_path, caplog):
    files = eval_shards(tmp_path)
    directory = tmp_path / "snapshots"
    for step in (10, 20, 30, 40):
        write_snapshot(str(directory), step, weights_of("K3-H4", step))
    config = AveragingConfig(automatic=False, fractions=[(0.0, 1.0)])
    expected = average_checkpoints(str(directory), files, str(tmp_path / "whole"), config)
    assert expected.damaged == ()

    os.truncate(directory / "snapshot-00000010.data-00000-of-00001", 5000)
    flipped = directory / "snapshot-00000040.data-00000-of-00001"
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    report = average_checkpoints(str(directory), files, str(tmp_path / "model"), config)
    assert report.damaged == (10, 40)
    lines = [line for line in caplog.messages if "is left out, its snapshot is damaged" in line]
    assert len(lines) == 2
    assert str(flipped) in lines[1]
    assert report.best_average.snapshots == 2
    singles = {one.last_step: one for one in expected.candidates if one.kind == "single"}
    assert [one for one in report.candidates if one.kind == "single"] == [singles[20], singles[30]]

    for name in os.listdir(directory):
        if name.endswith(".index"):
            os.truncate(directory / name, 20)
    with pytest.raises(UserError, match=r"no snapshot in .* is whole: cannot read"):
        average_checkpoints(str(directory), files, str(tmp_path / "model"), config)


def test_no_snapshots_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="no snapshot"):
        average_checkpoints(str(tmp_path / "none"), [], str(tmp_path / "model"), AveragingConfig())


def test_averages_alone_are_settled_and_kept_so(tmp_path):
    snapshots = [write_snapshot(str(tmp_path), step, {"w": np.float32([step])}) for step in (1, 2, 3)]
    config = AveragingConfig(automatic=False, fractions=((0.0, 1.0),))

    def settle(weights):
        return {"w": weights["w"] + 10}

    found = search(snapshots, config, lambda weights: float(weights["w"][0]) / 100, str(tmp_path), settle)
    assert [candidate.gap for candidate in found.candidates] == pytest.approx([0.01, 0.02, 0.03, 0.12])
    assert found.weights["w"].tolist() == [12.0]


def test_moving_statistics_of_an_average_are_measured_on_the_train_split(tmp_path):
    spec = ModelSpec.parse("K4-H6", CLASSES)
    weights = [weights_of("K4-H6", seed) for seed in (1, 2)]
    for step, each in enumerate(weights):
        write_snapshot(str(tmp_path / "snapshots"), step, each)
    files = eval_shards(tmp_path)
    config = AveragingConfig(automatic=False, fractions=((0.0, 1.0),), batch_norm_videos=20)
    report = average_checkpoints(str(tmp_path / "snapshots"), files, str(tmp_path / "model"), config, files)
    mean = {name: (weights[0][name] + weights[1][name]) / 2 for name in weights[0]}
    scorer = Scorer(spec)
    scorer.load(mean)
    averaged = evaluate(scorer, files).gap
    scorer.load(mean | scorer.statistics(eval_batches(files, 128, CLASSES, limit=20)))
    measured = evaluate(scorer, files).gap
    assert report.best_average.gap == pytest.approx(measured)
    assert measured != pytest.approx(averaged)
