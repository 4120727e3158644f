"""The Evaluator's executor on records and SavedModels: equality with our own metrics, slices, blessing."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests.components.evaluator_world import NUM_CLASSES, table, write_model
from trainer.data.manifest import DataFile, write_manifest
from trainer.data.records import Video
from trainer.metrics.video_metrics import VideoMetrics

pytestmark = pytest.mark.slow


def metrics_of(videos: list[Video], scores: np.ndarray) -> dict[str, float]:
    metrics = VideoMetrics(NUM_CLASSES)
    labels = np.zeros((len(videos), NUM_CLASSES), bool)
    for row, video in zip(labels, videos, strict=True):
        row[list(video.labels)] = True
    first = [np.frombuffer(first_frame(video), np.uint8)[0] for video in videos]
    metrics.update(scores[first], labels)
    return dataclasses.asdict(metrics.result())


def first_frame(video: Video) -> bytes:
    example = tf.train.SequenceExample.FromString(video.sequence_example)
    return example.feature_lists.feature_list["rgb"].feature[0].bytes_list.value[0]


def test_equal_to_trainer_metrics_overall_and_in_every_slice_for_both_models(world, evaluate):
    from components.evaluator.slices import frames_bin, labels_bin

    outcome = evaluate(with_baseline=True, max_gap_drop=0.0)
    assert outcome.blessed
    results = outcome.results
    tables = {"candidate": world.candidate, "baseline": world.baseline}
    bins = {
        "num_labels": lambda v: labels_bin(len(v.labels)),
        "num_frames": lambda v: frames_bin(v.num_frames),
    }
    for model, scores in tables.items():
        assert results[model] == pytest.approx(metrics_of(world.videos, scores), abs=1e-9)
    assert results["candidate"]["gap"] > results["baseline"]["gap"] + 0.05, (
        "else the test could not tell them"
    )
    assert [(s["feature"], s["bin"]) for s in results["slices"]] == [
        *(("num_labels", name) for name in ("0", "1", "2", "3", "4-5", "6+")),
        *(("num_frames", name) for name in ("1-60", "61-120", "121-180", "181-240", "241-300")),
    ]
    for one in results["slices"]:
        members = [video for video in world.videos if bins[one["feature"]](video) == one["bin"]]
        for model, scores in tables.items():
            assert one[model] == pytest.approx(metrics_of(members, scores), abs=1e-9)


def test_each_span_of_a_manifest_is_judged_by_itself(world, evaluate):
    """Better on all videos, and worse than allowed on those of an earlier span."""
    spans = {3: world.root / "examples/Split-holdout/data-0.tfrecord"}
    spans |= {4 + number: world.root / f"examples/Split-eval/data-{number}.tfrecord" for number in range(2)}
    directory = world.root / "by-reference" / "Split-eval"
    directory.mkdir(parents=True)
    write_manifest(
        str(directory),
        [
            DataFile(
                file=str(path), bytes=path.stat().st_size, modified=path.stat().st_mtime_ns, crc32c="",
                videos=1, span=span,
            )
            for span, path in spans.items()
        ],
    )  # fmt: skip
    outcome = evaluate(with_baseline=True, max_gap_drop=0.01, place="by-reference")
    of_span = {one["bin"]: one for one in outcome.results["slices"] if one["feature"] == "span"}
    assert list(of_span) == ["3", "4", "5"]
    for model, scores in {"candidate": world.candidate, "baseline": world.baseline}.items():
        assert of_span["3"][model] == pytest.approx(metrics_of(world.holdout, scores), abs=1e-9)
        assert outcome.results[model] == pytest.approx(
            metrics_of([*world.videos, *world.holdout], scores), abs=1e-9
        )
    assert outcome.results["candidate"]["gap"] > outcome.results["baseline"]["gap"]
    assert not outcome.blessed
    (reason,) = outcome.reasons["reasons"]
    assert reason.startswith("span 3: GAP ")


def test_first_run_exactly_at_the_floor_and_at_the_size_limit_is_blessed(world, evaluate):
    from components.evaluator.blessing import directory_bytes

    gap = metrics_of(world.videos, world.candidate)["gap"]
    size = directory_bytes(str(world.root / "candidate" / "Format-Serving"))
    outcome = evaluate(gap_floor=gap, max_gap_drop=0.0, limit_bytes=size)
    assert list(outcome.results) == ["candidate", "baseline", "slices"], "as before there was a holdout"
    assert outcome.results["baseline"] is None
    assert (outcome.files, outcome.blessed) == ({"BLESSED", "blessing_reasons.json"}, 1)
    assert outcome.reasons["blessed"]
    assert "no model is served yet" in outcome.reasons["reasons"][1]


def test_with_a_holdout_both_models_are_judged_there_and_the_selection_gap_is_told(world, evaluate):
    """The baseline is the better one on the holdout, and the worse one on the eval split."""
    candidate, baseline = (metrics_of(world.holdout, table) for table in (world.candidate, world.baseline))
    drop = baseline["gap"] - candidate["gap"]
    assert drop > 0.05
    outcome = evaluate(with_baseline=True, max_gap_drop=drop - 1e-9, split="holdout")
    assert outcome.results["candidate"] == pytest.approx(candidate, abs=1e-9)
    assert outcome.results["baseline"] == pytest.approx(baseline, abs=1e-9)
    assert sum(one["candidate"]["videos"] for one in outcome.results["slices"]) == 2 * len(world.holdout)
    assert (outcome.results["split"], outcome.results["selection_gap"]) == ("holdout", 0.75)
    assert not outcome.blessed, "on the eval split it would be"
    (reason,) = outcome.reasons["reasons"]
    assert (
        f"GAP {candidate['gap']:.6f} on the holdout against {baseline['gap']:.6f} of the served model"
        in reason
    )


def test_not_blessed_just_under_the_floor(world, evaluate):
    gap = metrics_of(world.videos, world.candidate)["gap"]
    outcome = evaluate(gap_floor=float(np.nextafter(gap, 1)))
    assert (outcome.files, outcome.blessed) == ({"NOT_BLESSED", "blessing_reasons.json"}, 0)
    (reason,) = outcome.reasons["reasons"]
    assert "below the floor" in reason


def test_not_blessed_too_far_below_the_served_model(world, evaluate):
    worse = np.roll(table(1), 3, axis=0)
    write_model(str(world.root / "worse"), worse)
    drop = metrics_of(world.videos, world.baseline)["gap"] - metrics_of(world.videos, worse)["gap"]
    assert drop > 0.01
    outcome = evaluate(candidate="worse", with_baseline=True, max_gap_drop=drop - 1e-9)
    assert (outcome.files, outcome.blessed) == ({"NOT_BLESSED", "blessing_reasons.json"}, 0)
    (reason,) = outcome.reasons["reasons"]
    assert "of the served model" in reason


def test_blessing_is_taken_from_a_model_one_byte_over_the_limit(world, evaluate):
    limit = 1_000_000
    write_model(str(world.root / "big"), world.candidate, tensor_bytes=limit + 1)
    outcome = evaluate(candidate="big", limit_bytes=limit)
    assert (outcome.files, outcome.blessed) == ({"NOT_BLESSED", "blessing_reasons.json"}, 0)
    assert outcome.reasons["reasons"] == [
        "the tensors: 1000001 bytes (0.95 MiB), over the limit of 1000000 (0.95 MiB)"
    ]
