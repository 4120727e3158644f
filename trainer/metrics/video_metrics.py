"""The metrics of YouTube-8M over a stream of videos: GAP@20, Hit@1, PERR and MAP, exact and fast.

Definitions: the paper, section 1, and the YouTube-8M starter code (google/youtube-8m, eval_util.py), whose
conventions hold here too:

- GAP pools the k most confident pairs (class, confidence, hit) of every video; P counts ALL positive labels.
- Hit@1: share of the videos whose most confident class is one of their labels.
- PERR (precision at equal recall rate): for a video with n labels the share of hits among its n most
  confident classes (a hit with a confidence of 0 does not count), averaged over the videos.
- MAP: for each class the average precision over the same pooled pairs, with the number of all its positive
  labels as the denominator; the mean over the classes that have a positive label (the starter code's rule
  since May 2019; before, classes without one counted as 0).
- A video without labels counts: 0 in Hit@1 and PERR, and its pairs are misses in GAP and MAP.
- Without any positive label GAP and MAP are 0.

Ties. The starter code shuffles pairs of equal confidence. Here a block of equal confidences counts with the
precision at its end, as in scikit-learn's average_precision_score, so the order of the input cannot matter.
Inside one video (which classes are the top k, or the top n of PERR) the lower class goes first.

Legend: B videos, V classes, k pairs kept a video, N pairs.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trainer.base.errors import UserError
from trainer.data.yt8m import TOP_K
from trainer.metrics.top_k import descending_order, top_k_classes


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The four metrics (0 to 1, see the module's text) and the number of videos they were measured on."""

    gap: float
    hit_at_one: float
    perr: float
    map: float
    videos: int


def top_pairs(
    scores: np.ndarray, labels: np.ndarray, k: int = TOP_K
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The k most confident (class, confidence, hit) of each video, most confident first.

    Args:
        scores: float32[B, V], no NaN.
        labels: bool[B, V].
        k: Pairs a video; V where that is less.

    Returns:
        classes int32[B, k], confidences float32[B, k], hits bool[B, k].

    Raises:
        ValueError: On a wrong dtype or shape.
        UserError: On a NaN.
    """
    _check(scores, labels)
    classes = top_k_classes(scores, k)
    return classes, np.take_along_axis(scores, classes, 1), np.take_along_axis(labels, classes, 1)


def gap(confidences: np.ndarray, hits: np.ndarray, num_positives: int) -> float:
    """Global average precision of pooled pairs: sum over i of p(i) * hit(i) / P, ties by blocks.

    >>> gap(np.array([0.9, 0.8, 0.7], np.float32), np.array([True, False, True]), 2)  # (1 + 2/3) / 2
    0.8333333333333333

    Args:
        confidences: float32, any shape with N elements.
        hits: bool, the same shape.
        num_positives: P, the number of all positive labels, those outside the top k included.
    """
    if confidences.dtype != np.float32 or hits.dtype != np.bool_:
        raise ValueError(f"confidences are float32, hits bool. Received: {confidences.dtype}, {hits.dtype}")
    if confidences.shape != hits.shape:
        raise ValueError(f"one hit a confidence. Received: {confidences.shape}, {hits.shape}")
    return _average_precision(np.sort(_pair_keys(confidences.ravel(), hits.ravel())), num_positives)


class VideoMetrics:
    """Accumulates videos; exact whatever the batches, their order, and how partial results are merged.

    The state is one 64-bit integer a pair (k a video), one number a label, and integer counts, so merging is
    associative and commutative to the last bit.

    >>> metrics = VideoMetrics(num_classes=3, k=2)
    >>> metrics.update(np.array([[0.9, 0.2, 0.5]], np.float32), np.array([[True, True, False]]))
    >>> metrics.result()
    Metrics(gap=0.5, hit_at_one=1.0, perr=0.5, map=0.5, videos=1)
    """

    def __init__(self, num_classes: int, k: int = TOP_K) -> None:
        if num_classes < 1 or k < 1:
            raise ValueError(f"num_classes and k must be at least 1. Received: {num_classes=}, {k=}")
        self.num_classes = num_classes
        self.k = k
        self.videos = 0
        self._keys: list[np.ndarray] = []  # uint64[N] chunks: class, descending confidence, hit
        self._positives: list[np.ndarray] = []  # uint32 chunks: the class of every positive label
        self._first_hits = 0
        self._equal_recall_hits: Counter[int] = Counter()  # number of labels -> hits, for PERR

    def update(self, scores: np.ndarray, labels: np.ndarray) -> None:
        """Adds the videos of a batch.

        Args:
            scores: float32[B, V], no NaN.
            labels: bool[B, V].

        Raises:
            ValueError: On a wrong dtype or shape.
            UserError: On a NaN.
        """
        classes, confidences, hits = top_pairs(scores, labels, self.k)
        if scores.shape[1] != self.num_classes:
            raise ValueError(f"scores must be of {self.num_classes} classes. Received: {scores.shape[1]}")
        if not len(scores):
            return
        # On the flat array because NumPy scans one dimension of booleans several times faster than two.
        positive_rows, positive_classes = np.divmod(np.flatnonzero(labels), self.num_classes)
        label_counts = np.bincount(positive_rows, minlength=len(scores))
        self.videos += len(scores)
        self._keys.append(
            (classes.astype(np.uint64) << np.uint64(33) | _pair_keys(confidences, hits)).ravel()
        )
        self._positives.append(positive_classes.astype(np.uint32))
        self._first_hits += int(hits[:, 0].sum())

        positive_hits = hits & (confidences > 0)
        within = np.arange(hits.shape[1]) < label_counts[:, None]
        row_hits = (positive_hits & within).sum(axis=1)
        for row in np.flatnonzero(label_counts > hits.shape[1]):  # more labels than pairs: rare
            wider = top_pairs(scores[row : row + 1], labels[row : row + 1], int(label_counts[row]))
            row_hits[row] = (wider[2] & (wider[1] > 0)).sum()
        hits_by_count = np.bincount(label_counts, weights=row_hits)
        for count in np.flatnonzero(hits_by_count):
            self._equal_recall_hits[int(count)] += int(hits_by_count[count])

    def add(self, other: "VideoMetrics") -> None:
        """Takes the videos of another accumulator in; ValueError when that one is of another kind."""
        if (other.num_classes, other.k) != (self.num_classes, self.k):
            raise ValueError(
                "metrics of different kinds cannot be merged. Received: "
                f"num_classes {self.num_classes} and {other.num_classes}, k {self.k} and {other.k}"
            )
        self.videos += other.videos
        self._keys += other._keys
        self._positives += other._positives
        self._first_hits += other._first_hits
        self._equal_recall_hits.update(other._equal_recall_hits)

    def merge(self, *others: "VideoMetrics") -> "VideoMetrics":
        """A new accumulator of the videos of this one and of others; none of them changes."""
        merged = VideoMetrics(self.num_classes, self.k)
        for one in (self, *others):
            merged.add(one)
        return merged

    def compact(self) -> "VideoMetrics":
        """Joins the chunks into one, which makes many small updates cheap to send; returns itself."""
        self._keys = [_concatenate(self._keys, np.uint64)]
        self._positives = [_concatenate(self._positives, np.uint32)]
        return self

    def result(self) -> Metrics:
        """The metrics of all videos so far; UserError when there are none."""
        if not self.videos:
            raise UserError("there is no video to measure: check the data pattern and the rejected records")
        keys = _concatenate(self._keys, np.uint64)
        aps, counts = self.class_average_precisions()
        perr = sum(hits / count for count, hits in sorted(self._equal_recall_hits.items()))
        pooled = np.sort(keys & np.uint64(2**33 - 1))
        return Metrics(
            gap=_average_precision(pooled, int(counts.sum())),
            hit_at_one=self._first_hits / self.videos,
            perr=perr / self.videos,
            map=float(aps[counts > 0].mean()) if counts.any() else 0.0,
            videos=self.videos,
        )

    def gap(self) -> float:
        """GAP alone, which is cheaper than `result`."""
        keys = _concatenate(self._keys, np.uint64) & np.uint64(2**33 - 1)
        return _average_precision(np.sort(keys), sum(map(len, self._positives)))

    def class_average_precisions(self) -> tuple[np.ndarray, np.ndarray]:
        """Average precision of each class, float64[V], and the number of its positive labels, int64[V]."""
        counts = np.bincount(_concatenate(self._positives, np.uint32), minlength=self.num_classes)
        keys = np.sort(_concatenate(self._keys, np.uint64))
        sums = _precision_sums(keys, (keys >> np.uint64(33)).astype(np.int64), self.num_classes)
        return np.divide(sums, counts, out=np.zeros(self.num_classes), where=counts > 0), counts


def _check(scores: np.ndarray, labels: np.ndarray) -> None:
    if scores.dtype != np.float32 or labels.dtype != np.bool_:
        raise ValueError(f"scores must be float32 and labels bool. Received: {scores.dtype}, {labels.dtype}")
    if scores.ndim != 2 or scores.shape != labels.shape or not scores.shape[1]:
        raise ValueError(f"scores and labels must both be [B, V]. Received: {scores.shape}, {labels.shape}")


def _concatenate(chunks: Iterable[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype), *chunks])


def _pair_keys(confidences: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """uint64 of 33 bits whose ascending order is that of descending confidence; the lowest bit is the hit."""
    descending = descending_order(confidences).astype(np.uint64)
    return descending << np.uint64(1) | hits.astype(np.uint64)


def _average_precision(sorted_keys: np.ndarray, num_positives: int) -> float:
    if not num_positives:
        return 0.0
    groups = np.zeros(len(sorted_keys), np.int64)
    return float(_precision_sums(sorted_keys, groups, 1)[0] / num_positives)


def _precision_sums(sorted_keys: np.ndarray, groups: np.ndarray, num_groups: int) -> np.ndarray:
    """The sum of p(i) * hit(i) in each group of pairs, float64[num_groups].

    Args:
        sorted_keys: uint64[N] ascending; equal but for the lowest bit means one block of ties.
        groups: int64[N] ascending, in 0..num_groups-1; a block never spans two groups.
        num_groups: 1 for GAP, V for MAP.
    """
    if not len(sorted_keys):
        return np.zeros(num_groups)
    hits = (sorted_keys & np.uint64(1)).astype(np.int64)
    blocks = sorted_keys >> np.uint64(1)
    ends = np.append(np.flatnonzero(blocks[1:] != blocks[:-1]), len(blocks) - 1)
    hits_until = np.cumsum(hits)[ends]
    block_hits = np.diff(hits_until, prepend=0)
    keep = block_hits > 0
    ends, hits_until, block_hits = ends[keep], hits_until[keep], block_hits[keep]
    group = groups[ends]
    starts = np.searchsorted(groups, np.arange(num_groups))  # of each group's pairs
    hits_before = np.append(0, np.cumsum(hits))[starts]
    precision = (hits_until - hits_before[group]) / (ends + 1 - starts[group])
    return np.bincount(group, weights=precision * block_hits, minlength=num_groups)
