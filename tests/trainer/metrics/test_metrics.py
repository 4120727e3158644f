"""GAP and friends against literal, slow implementations of their definitions, and the laws of merging."""

import dataclasses
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.base.errors import UserError
from trainer.metrics.top_k import top_k_classes
from trainer.metrics.video_metrics import Metrics, VideoMetrics, gap, top_pairs


def literal_ranking(scores: np.ndarray) -> list[int]:
    return sorted(range(len(scores)), key=lambda c: (-scores[c], c))


def literal_average_precision(pairs: list[tuple[float, bool]], num_positives: int) -> float:
    """sum of p(i) * hit(i) / P; p(i) is the precision among all pairs at least as confident as pair i."""
    if not num_positives:
        return 0.0
    total = 0.0
    for confidence, hit in pairs:
        if hit:
            at_least = [h for c, h in pairs if c >= confidence]
            total += sum(at_least) / len(at_least)
    return total / num_positives


def literal_metrics(scores: np.ndarray, labels: np.ndarray, k: int) -> Metrics:
    videos, num_classes = scores.shape
    pooled: list[tuple[float, bool]] = []
    by_class: dict[int, list[tuple[float, bool]]] = {c: [] for c in range(num_classes)}
    first_hits, perr = 0, 0.0
    for row, truth in zip(scores.tolist(), labels.tolist(), strict=True):
        ranking = literal_ranking(row)
        first_hits += truth[ranking[0]]
        for c in ranking[:k]:
            pooled.append((row[c], truth[c]))
            by_class[c].append((row[c], truth[c]))
        if any(truth):
            perr += sum(truth[c] and row[c] > 0 for c in ranking[: sum(truth)]) / sum(truth)
    counts = labels.sum(axis=0)
    aps = [literal_average_precision(by_class[c], counts[c]) for c in range(num_classes) if counts[c]]
    return Metrics(
        gap=literal_average_precision(pooled, int(counts.sum())),
        hit_at_one=first_hits / videos,
        perr=perr / videos,
        map=sum(aps) / len(aps) if aps else 0.0,
        videos=videos,
    )


@st.composite
def batches(draw, max_classes: int = 12) -> tuple[np.ndarray, np.ndarray, int]:
    """Scores with many ties (few distinct values, negative and signed zeros among them), labels, and k."""
    videos, num_classes = draw(st.integers(1, 9)), draw(st.integers(1, max_classes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = np.array([-1.0, -0.25, -0.0, 0.0, 1e-30, 0.3, 0.7, 1.0], np.float32)
    scores = rng.choice(values[: draw(st.integers(1, len(values)))], (videos, num_classes))
    labels = rng.random((videos, num_classes)) < draw(st.sampled_from([0.0, 0.2, 0.9]))
    return scores, labels, draw(st.integers(1, 14))


def measure(scores: np.ndarray, labels: np.ndarray, k: int = 20) -> VideoMetrics:
    metrics = VideoMetrics(scores.shape[1], k)
    metrics.update(scores, labels)
    return metrics


def as_dict(metrics: Metrics):
    return pytest.approx(dataclasses.asdict(metrics), abs=1e-9, rel=0)


@given(batches())
def test_equal_to_the_literal_formulas(batch):
    scores, labels, k = batch
    assert dataclasses.asdict(measure(scores, labels, k).result()) == as_dict(
        literal_metrics(scores, labels, k)
    )


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([900, 3862]))
def test_equal_to_the_literal_formulas_at_many_classes(seed, num_classes):
    """Wide rows take the path with block maxima; 64 distinct scores make ties at the 20th place certain."""
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, 64, (40, num_classes)) / np.float32(64)).astype(np.float32)
    scores[::2] = rng.random((20, num_classes), np.float32)
    labels = rng.random((40, num_classes)) < 0.003 + 0.03 * (rng.random((40, 1)) < 0.1)
    assert dataclasses.asdict(measure(scores, labels).result()) == as_dict(
        literal_metrics(scores, labels, 20)
    )


@pytest.mark.parametrize("columns", [1, 5, 127, 511, 512, 534, 3862])
def test_top_k_is_the_stable_sort(columns):
    rng = np.random.default_rng(columns)
    scores = rng.integers(-9, 9, (300, columns)).astype(np.float32)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    np.testing.assert_array_equal(top_k_classes(scores, 20), expected)


def test_hand_computed():
    scores = np.array([[0.9, 0.8, 0.1], [0.6, 0.7, 0.2]], np.float32)
    labels = np.array([[True, False, True], [True, False, False]])
    # Pairs with k = 2: 0.9 hit, 0.8 miss, 0.7 miss, 0.6 hit; 3 positives: (1 + 2/4) / 3.
    # Class 0: 0.9 hit, 0.6 hit of 2: 1. Class 2: not among the pairs, 1 positive: 0. Class 1: no positive.
    # Video 0: the first is a hit, 1 of the first 2; video 1: the first is none, 0 of the first 1.
    expected = Metrics(gap=0.5, hit_at_one=0.5, perr=0.25, map=0.5, videos=2)
    assert measure(scores, labels, k=2).result() == expected


def test_ties_count_with_the_precision_at_the_end_of_their_block():
    for hits in set(itertools.permutations([True, False, False, True])):
        assert gap(np.full(4, 0.5, np.float32), np.array(hits), 4) == 0.25  # 2 hits x 2/4 / 4


def test_more_labels_than_pairs_count_in_perr():
    scores = np.linspace(1, 0.1, 10, dtype=np.float32)[None]
    labels = np.array([[True] * 3 + [False] * 2 + [True] * 5])
    assert measure(scores, labels, k=2).result().perr == 6 / 8


def test_videos_without_labels_count_as_misses():
    scores = np.array([[0.9, 0.1], [0.9, 0.1]], np.float32)
    labels = np.array([[True, False], [False, False]])
    assert measure(scores, labels).result() == Metrics(gap=0.5, hit_at_one=0.5, perr=0.5, map=0.5, videos=2)
    nothing = measure(scores, np.zeros_like(labels)).result()
    assert nothing == Metrics(gap=0.0, hit_at_one=0.0, perr=0.0, map=0.0, videos=2)


@given(batches(), st.randoms(use_true_random=False))
def test_order_of_videos_changes_no_bit(batch, random):
    scores, labels, k = batch
    order = list(range(len(scores)))
    random.shuffle(order)
    assert measure(scores[order], labels[order], k).result() == measure(scores, labels, k).result()


@given(batches(), st.data())
def test_merge_is_associative_and_commutative_and_equals_one_pass(batch, data):
    scores, labels, k = batch
    cuts = sorted(data.draw(st.tuples(*[st.integers(0, len(scores))] * 2)))
    a, b, c = (measure(s, t, k) for s, t in zip(np.split(scores, cuts), np.split(labels, cuts), strict=True))
    whole = measure(scores, labels, k)
    for merged in (
        a.merge(b).merge(c),
        a.merge(b.merge(c)),
        c.merge(a, b),
        VideoMetrics(scores.shape[1], k).merge(b, a, c),
    ):
        assert merged.result() == whole.result()
        assert merged.gap() == pytest.approx(whole.result().gap, abs=1e-15)
    assert a.videos == cuts[0], "merge must not change its operands"


def test_state_survives_pickling_and_compaction():
    rng = np.random.default_rng(1)
    parts = [measure(rng.random((3, 30), np.float32), rng.random((3, 30)) < 0.1) for _ in range(5)]
    whole = parts[0].merge(*parts[1:])
    assert pickle.loads(pickle.dumps(whole.merge().compact())).result() == whole.result()


def test_state_is_bounded_by_the_pairs_and_labels():
    rng = np.random.default_rng(1)
    labels = np.zeros((500, 3862), bool)
    labels[:, 7] = True
    state = pickle.dumps(measure(rng.random((500, 3862), np.float32), labels))
    assert len(state) < 500 * (20 * 8 + 4) + 1000


def test_class_average_precisions():
    scores = np.array([[0.9, 0.8], [0.6, 0.7]], np.float32)
    aps, counts = measure(scores, np.array([[False, False], [True, False]])).class_average_precisions()
    assert aps.tolist() == [0.5, 0.0]
    assert counts.tolist() == [1, 0]


def test_top_pairs():
    scores = np.array([[0.1, 0.4, 0.4, 0.3]], np.float32)
    classes, confidences, hits = top_pairs(scores, np.array([[False, False, True, True]]), 3)
    assert classes.tolist() == [[1, 2, 3]]
    np.testing.assert_array_equal(confidences, scores[:, 1:])
    assert hits.tolist() == [[False, True, True]]
    assert (classes.dtype, confidences.dtype, hits.dtype) == (np.int32, np.float32, np.bool_)


@pytest.mark.parametrize("column", [0, 3861, 1500])
def test_nan_is_named(column):
    scores = np.zeros((40, 3862), np.float32)
    scores[35, column] = np.nan
    with pytest.raises(UserError, match=r"NaN \(first in row 35"):
        measure(scores, np.zeros(scores.shape, bool))


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        (np.zeros((2, 3)), np.zeros((2, 3), bool), "float32.*Received: float64, bool"),
        (np.zeros((2, 3), np.float32), np.zeros((2, 3), np.int64), "Received: float32, int64"),
        (np.zeros((2, 3), np.float32), np.zeros((3, 3), bool), r"Received: \(2, 3\), \(3, 3\)"),
        (np.zeros(3, np.float32), np.zeros(3, bool), r"Received: \(3,\)"),
        (np.zeros((2, 4), np.float32), np.zeros((2, 4), bool), "3 classes. Received: 4"),
    ],
)
def test_wrong_input_is_refused(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        VideoMetrics(3).update(scores, labels)


def test_wrong_pairs_and_merges_are_refused():
    with pytest.raises(ValueError, match="one hit a confidence"):
        gap(np.zeros(2, np.float32), np.zeros(3, bool), 1)
    with pytest.raises(ValueError, match="float64"):
        gap(np.zeros(2), np.zeros(2, bool), 1)
    with pytest.raises(ValueError, match="num_classes 3 and 4"):
        VideoMetrics(3).merge(VideoMetrics(4))
    with pytest.raises(ValueError, match="at least 1"):
        VideoMetrics(0)


def test_no_videos_is_an_error():
    with pytest.raises(UserError, match="no video"):
        VideoMetrics(3).result()
