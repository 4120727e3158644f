"""The scores that can matter to GAP@20, small enough to evaluate thousands of ensembles in memory.

Only a video's 20 highest scores count. A class that no member scores high cannot come among them: so of each video
only the C classes with the highest score of any member are kept, 64 of 3862. For 18 members and 17,600 videos that is
81 MB instead of 4.9 GB.

GAP from them differs from the exact one in two ways, both far below what tells ensembles apart: classes left out
(each scores below 64 others), and confidences that agree in their 10 highest fraction bits, which count as equal.

Legend: m members, N videos, V classes, C kept classes, k = 20 pairs a video.
"""

from collections.abc import Sequence

import numpy as np

from components.ensemble_assembler.exact import mixed
from components.ensemble_assembler.score_file import EvalScores
from trainer.data.yt8m import TOP_K
from trainer.metrics.top_k import top_k_classes

_BLOCK = 256
_CACHED_VIDEOS = 1024
"""Videos mixed and partitioned at once: 256 KB, which stays in the processor's cache."""
_KEPT_CLASSES = 64
_DROPPED_BITS = np.uint32(13)
"""How many of the 23 fraction bits of a float32 are dropped."""
_LOWEST_BIN = np.float32(2.0**-24).view(np.uint32) >> _DROPPED_BITS
"""The first bin, which holds all smaller confidences as well."""
_HIGHEST_BIN = np.float32(1).view(np.uint32) >> _DROPPED_BITS
"""The last bin, that of the probability 1."""
_BINS = int(_HIGHEST_BIN - _LOWEST_BIN) + 1


class ReducedScores:
    """Scores of the kept classes.

    Args:
        scores: float32 [m, N, C], from 0 to 1.
        hits: bool [N, C], whether the class is a label.
        positives: int [N], the number of labels of each video, those left out included.
    """

    def __init__(self, scores: np.ndarray, hits: np.ndarray, positives: np.ndarray) -> None:
        self.scores = scores
        self.hits = hits
        self.positives = positives
        self._kept_pairs = min(TOP_K, scores.shape[2])

    @classmethod
    def of(
        cls, data: EvalScores, members: Sequence[int], seed: int = 0, max_videos: int = 20_000
    ) -> "ReducedScores":
        """Reduces the scores of some models.

        Args:
            data: Scores and labels of the eval split.
            members: Indices of the models to keep, which become 0, 1, ... here.
            seed: Seed of the order of the videos, in which the first n are a random sample, and of their choice.
            max_videos: Most videos that are kept; of more a sample is, so that memory does not grow with the split.
        """
        order = np.random.default_rng(seed).permutation(data.videos)[:max_videos]
        place = np.argsort(order)
        chosen = order[place]  # ascending
        kept = min(_KEPT_CLASSES, data.num_classes)
        scores = np.empty((len(members), len(chosen), kept), np.float32)
        hits = np.empty((len(chosen), kept), np.bool_)
        positives = np.empty(len(chosen), np.int64)
        done = 0
        for start in range(0, data.videos, _BLOCK):
            rows = chosen[np.searchsorted(chosen, start) : np.searchsorted(chosen, start + _BLOCK)] - start
            if not len(rows):
                continue
            blocks = [data.scores[member].rows(start, start + _BLOCK)[rows] for member in members]
            labels = data.labels.rows(start, start + _BLOCK)[rows]
            highest = blocks[0].copy()
            for block in blocks[1:]:
                np.maximum(highest, block, out=highest)
            classes = top_k_classes(highest, kept)
            target = place[done : done + len(rows)]
            for index, block in enumerate(blocks):
                scores[index, target] = np.take_along_axis(block, classes, 1)
            hits[target] = np.take_along_axis(labels, classes, 1)
            positives[target] = labels.sum(axis=1)
            done += len(rows)
        return cls(scores, hits, positives)

    @property
    def members(self) -> int:
        """Number of members, m."""
        return self.scores.shape[0]

    @property
    def videos(self) -> int:
        """Number of videos, N."""
        return self.scores.shape[1]

    def gap(self, members: Sequence[int], weights: Sequence[float], videos: int | None = None) -> float:
        """Returns the GAP of an ensemble on the first so many videos (or all).

        The hit goes into the lowest bit of its score, so that one partition of plain integers moves both; float32's
        bits order like integers. A histogram takes the place of the sort over all videos.
        """
        count = self.videos if videos is None else videos
        num_positives = int(self.positives[:count].sum())
        if not num_positives:
            return 0.0
        shares = np.asarray(weights, np.float32) / np.float32(np.sum(weights))
        counts = np.zeros(2 * _BINS, np.int64)
        for start in range(0, count, _CACHED_VIDEOS):
            block = slice(start, min(start + _CACHED_VIDEOS, count))
            keys = mixed([self.scores[member, block] for member in members], shares).view(np.uint32)
            keys &= np.uint32(0xFFFFFFFE)
            keys |= self.hits[block]
            keys.partition(keys.shape[1] - self._kept_pairs, axis=1)
            counts += _histogram(keys[:, -self._kept_pairs :])
        return _precision_sum(counts) / num_positives


def _histogram(keys: np.ndarray) -> np.ndarray:
    """int64 [2 * bins]: misses and hits of each bin, of score bits with the hit in the lowest bit."""
    bins = np.clip(keys >> _DROPPED_BITS, _LOWEST_BIN, _HIGHEST_BIN) - _LOWEST_BIN
    bins <<= np.uint32(1)
    bins |= keys & np.uint32(1)
    return np.bincount(bins.ravel(), minlength=2 * _BINS)


def _precision_sum(counts: np.ndarray) -> float:
    """The sum of the precision at each hit over all pairs of a histogram."""
    counts = counts.reshape(-1, 2)[::-1]  # misses, hits; best first
    pairs, hits = counts.sum(axis=1), counts[:, 1]
    filled = np.flatnonzero(hits)
    pairs_before = np.cumsum(pairs)[filled] - pairs[filled]
    hits_before = np.cumsum(hits)[filled] - hits[filled]
    pairs, hits = pairs[filled], hits[filled]
    # The mean precision at the hits of a bin, had its pairs any order.
    precision = (hits_before + (hits + 1) / 2) / (pairs_before + (pairs + 1) / 2)
    return float((hits * precision).sum())
