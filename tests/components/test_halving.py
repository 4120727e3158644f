"""The stop rule, and two halves that are one training."""

import json
import os
import posixpath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.half_time.report import HalfTimeReport, HalfTimeResult, HalfTimeVerdict
from components.half_time.result import measure_half_time
from components.half_time.rule import half_time, stopped_for
from components.second_half import training as second_half
from components.trainer.run_fn import CustomConfig
from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from tests.records import write_shards
from trainer.checkpoints.removal import remove_checkpoints
from trainer.checkpoints.snapshots import list_snapshots, read_snapshot
from trainer.metrics.scorer import Scorer, evaluate
from trainer.model.model_spec import ModelSpec
from trainer.training.config import TrainingConfig
from trainer.training.loop import train

CLASSES = 12
SPEC = ModelSpec.parse("K2-H6", CLASSES)
CONFIG = TrainingConfig(
    steps=12, batch_size=8, frames_per_video=2, learning_rate=0.01, snapshot_every=2, state_every=3, log_every=4,
    eval_slice=0, shuffle_buffer=32, files_per_group=2,
)  # fmt: skip


def result(variant: str, size: int, gap: float, step: int = 100) -> HalfTimeResult:
    return HalfTimeResult(variant=variant, step=step, bytes=size, gap=gap, videos=50)


RESULTS = st.lists(
    st.builds(result, st.just(""), st.integers(1, 5), st.integers(0, 5).map(lambda n: n / 5), st.sampled_from([1, 2])),
    min_size=1, max_size=8,
).map(lambda found: [result(f"K2-H{n + 1}", r.bytes, r.gap, r.step) for n, r in enumerate(found)])  # fmt: skip


def test_larger_and_worse_is_stopped_for_the_best_that_is_smaller() -> None:
    found = [
        result("K2-H1", 1, 0.5),
        result("K2-H2", 2, 0.7),
        result("K2-H3", 3, 0.6),
        result("K2-H4", 4, 0.4),
        result("GRU-L2-H4", 5, 0.3),  # of another family
    ]
    assert stopped_for(found, 0.0) == [None, None, "K2-H2", "K2-H2", None]
    # A lead of a tenth is noise.
    assert stopped_for(found, 0.15) == [None, None, None, "K2-H2", None]
    assert stopped_for(found, 1.0) == [None] * 5


def test_equal_size_equal_gap_and_other_steps_stop_nobody() -> None:
    assert (
        stopped_for([result("K2-H1", 1, 0.5), result("K2-H2", 1, 0.4), result("K2-H3", 2, 0.5)], 0.0)
        == [None] * 3
    )
    assert stopped_for([result("K2-H1", 1, 0.5), result("K2-H2", 2, 0.4, step=50)], 0.0) == [None, None]


@given(RESULTS, st.sampled_from([0.0, 0.2, 0.5]))
def test_who_is_named_goes_on_and_is_smaller_and_better(results: list[HalfTimeResult], lead: float) -> None:
    named = dict(zip((one.variant for one in results), stopped_for(results, lead), strict=True))
    by_name = {one.variant: one for one in results}
    for one in results:
        beaten = [o for o in results if o.step == one.step and o.bytes < one.bytes and o.gap > one.gap + lead]
        assert (named[one.variant] is not None) == bool(beaten)
        if other := named[one.variant]:
            assert by_name[other] in beaten
            assert named[other] is None
    # The order of the variants decides nothing but which of equals is named.
    backwards = stopped_for(results[::-1], lead)[::-1]
    assert [name is None for name in backwards] == [name is None for name in named.values()]


@pytest.mark.parametrize(
    ("steps", "every", "expected"), [(200_000, 2_000, 100_000), (11, 2, 4), (10, 20, 5), (6, 2, 2), (1, 1, 1)]
)
def test_half_time_is_at_a_snapshot(steps: int, every: int, expected: int) -> None:
    assert half_time(TrainingConfig(steps=steps, snapshot_every=every)) == expected


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> list[str]:
    return write_shards(tmp_path_factory.mktemp("shards"), shards=3, videos=12, num_classes=CLASSES)


@pytest.fixture(scope="module")
def whole(shards, tmp_path_factory) -> str:
    """The run of a training in one piece."""
    directory = str(tmp_path_factory.mktemp("whole"))
    train(SPEC, CONFIG, shards, shards, directory)
    return directory


@pytest.fixture(scope="module")
def first(shards, tmp_path_factory) -> str:
    """The run of a first half."""
    directory = str(tmp_path_factory.mktemp("first"))
    until = half_time(CONFIG)
    trained = train(SPEC, CONFIG, shards, shards, directory, until=until)
    measure_half_time(trained, until, shards, directory)
    return directory


def finish(shards, first: str, target: str, stopped: str | None = None, work_dir: str | None = None) -> None:
    config = CustomConfig(variant=str(SPEC), training=CONFIG, num_classes=CLASSES, work_dir=work_dir)
    verdict = HalfTimeVerdict(variant=str(SPEC), step=6, bytes=1, gap=0.5, videos=36, stopped_for=stopped)
    verdicts = HalfTimeReport(lead=0.0, variants=(verdict,))
    second_half.train_second_half(config, shards, shards, first, verdicts, target)


def steps(run: str) -> list[int]:
    return [snapshot.step for snapshot in list_snapshots(posixpath.join(run, "snapshots"))]


def assert_same_snapshots(run: str, other: str) -> None:
    assert steps(run) == steps(other)
    for one, two in zip(
        *(list_snapshots(posixpath.join(place, "snapshots")) for place in (run, other)), strict=True
    ):
        weights, others = read_snapshot(one.prefix), read_snapshot(two.prefix)
        assert all(np.array_equal(weights[name], others[name]) for name in others)


def test_the_first_half_says_what_it_has_reached(shards, first) -> None:
    found = HalfTimeResult.read(first)
    scorer = Scorer(SPEC)
    scorer.load(read_snapshot(list_snapshots(f"{first}/snapshots")[-1].prefix))
    metrics = evaluate(scorer, shards)
    assert (found.variant, found.step, found.videos) == ("K2-H6", 6, 36)
    assert found.bytes == stored_bytes(SPEC, FLOAT16)
    assert found.gap == pytest.approx(metrics.gap)
    assert steps(first) == [2, 4, 6]


def test_two_halves_are_one_training(shards, first, whole, tmp_path) -> None:
    finish(shards, first, str(tmp_path / "run"))
    assert_same_snapshots(str(tmp_path / "run"), whole)
    # The first half stays what it was, for another second half.
    assert steps(first) == [2, 4, 6]
    assert {name for name in os.listdir(f"{first}/state") if name.endswith(".index")} == {
        "state-00000003.index",
        "state-00000006.index",
    }
    finish(shards, first, str(tmp_path / "run2"), work_dir=str(tmp_path / "work" / "Trainer-K2-H6"))
    assert_same_snapshots(str(tmp_path / "run2"), whole)
    assert os.listdir(tmp_path / "work") == []


def test_what_is_stopped_keeps_its_first_half(shards, first, tmp_path, caplog) -> None:
    caplog.set_level("INFO", "yt8m.train")
    finish(shards, first, str(tmp_path / "run"), stopped="K2-H4")
    assert_same_snapshots(str(tmp_path / "run"), first)
    assert "K2-H6: stopped at step 6 with GAP 0.5000: K2-H4 is smaller and was better there" in caplog.text


def test_a_first_half_whose_snapshots_were_removed_is_trained_once_more(
    shards, first, whole, tmp_path
) -> None:
    emptied = str(tmp_path / "first")
    second_half._take_over(first, emptied)
    for part in ("snapshots", "state"):
        remove_checkpoints(posixpath.join(emptied, part))
    finish(shards, emptied, str(tmp_path / "run"), stopped="K2-H4")
    assert_same_snapshots(str(tmp_path / "run"), first)
    finish(shards, emptied, str(tmp_path / "run2"))
    assert_same_snapshots(str(tmp_path / "run2"), whole)


def test_killed_while_it_takes_over_or_trains_it_goes_on(shards, first, whole, tmp_path, monkeypatch) -> None:
    class Killed(BaseException):
        pass

    copy, copied = second_half._copy, []

    def killed_before_the_last(source: str, target: str) -> None:
        if source.endswith("state-00000006.index"):
            raise Killed
        copied.append(source)
        copy(source, target)

    monkeypatch.setattr(second_half, "_copy", killed_before_the_last)
    with pytest.raises(Killed):
        finish(shards, first, str(tmp_path))
    assert copied
    monkeypatch.setattr(second_half, "_copy", copy)

    def killed_after_a_state(*args, **options) -> None:
        train(*args, **options | {"until": 9})
        raise Killed

    monkeypatch.setattr(second_half, "train", killed_after_a_state)
    with pytest.raises(Killed):
        finish(shards, first, str(tmp_path))
    monkeypatch.setattr(second_half, "train", train)
    monkeypatch.setattr(second_half, "_take_over", lambda *_: pytest.fail("it has a state of its own"))
    finish(shards, first, str(tmp_path))
    # Step 9, at which it was cut off, is not one of a training in one piece.
    assert steps(str(tmp_path)) == [2, 4, 6, 8, 9, 10, 12]
    last, expected = (
        read_snapshot(list_snapshots(f"{run}/snapshots")[-1].prefix) for run in (tmp_path, whole)
    )
    assert all(np.array_equal(last[name], expected[name]) for name in expected)


@pytest.mark.slow
def test_the_executors_on_artifacts(shards, first, whole, tmp_path) -> None:
    from tfx.types import artifact_utils, standard_artifacts

    from components.artifacts import Report
    from components.half_time.executor import Executor as HalfTime
    from components.second_half.executor import Executor as SecondHalf

    def artifact(kind, place):
        made = kind()
        made.uri = str(place)
        return made

    other = tmp_path / "other"
    other.mkdir()
    result("K2-H4", 1, 1.0, step=6).write(str(other))
    runs = {
        f"first_half_{index:03d}": [artifact(standard_artifacts.ModelRun, place)]
        for index, place in enumerate((first, other))
    }
    examples = artifact(standard_artifacts.Examples, tmp_path / "examples")
    examples.split_names = artifact_utils.encode_split_names(["train", "eval"])
    for split in ("train", "eval"):
        (tmp_path / "examples" / f"Split-{split}").mkdir(parents=True)
        for shard in shards:
            os.link(shard, tmp_path / "examples" / f"Split-{split}" / os.path.basename(shard))
    config = {
        "variant": "K2-H6",
        "training": CONFIG.model_dump(),
        "num_classes": CLASSES,
    }
    for lead, expected in ((0.0, first), (1.0, whole)):
        report = artifact(Report, tmp_path / f"report-{lead}")
        HalfTime().Do(runs, {"report": [report]}, {"lead": lead})
        told = HalfTimeReport.read(report.uri)
        assert told.lead == lead
        assert [row.stopped_for for row in told.variants] == ["K2-H4" if lead == 0 else None, None]
        run = artifact(standard_artifacts.ModelRun, tmp_path / f"run-{lead}")
        inputs = {"examples": [examples], "first_half": runs["first_half_000"], "verdicts": [report]}
        SecondHalf().Do(inputs, {"model_run": [run]}, {"config": json.dumps(config)})
        assert_same_snapshots(run.uri, expected)
