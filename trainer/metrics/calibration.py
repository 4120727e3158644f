"""How often a model is right when it says so and so much: the calibration of its confidences.

Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2 (https://arxiv.org/abs/1706.04599).
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """The pairs (video, class) whose confidence lies in [start, end), or in [start, 1] for the last bin.

    Attributes:
        start: Lowest confidence.
        end: Where the next bin starts.
        pairs: How many there are.
        confidence: Their mean confidence; None where there is no pair.
        hit_rate: Share of them that are labels; None where there is no pair.
    """

    start: float
    end: float
    pairs: int
    confidence: float | None
    hit_rate: float | None


class Calibration:
    """Accumulates pairs in bins of equal width; holds three numbers a bin.

    >>> calibration = Calibration(bins=2)
    >>> calibration.update(np.array([0.25, 0.75, 0.75], np.float32), np.array([False, True, False]))
    >>> calibration.bins()[1]
    CalibrationBin(start=0.5, end=1.0, pairs=2, confidence=0.75, hit_rate=0.5)
    >>> round(calibration.error(), 6)  # a third of 0.25, two thirds of 0.25
    0.25
    """

    def __init__(self, bins: int = 20) -> None:
        self._pairs = np.zeros(bins, np.int64)
        self._confidences = np.zeros(bins)
        self._hits = np.zeros(bins, np.int64)

    def update(self, confidences: np.ndarray, hits: np.ndarray) -> None:
        """Adds pairs: confidences float32 in 0..1 and hits bool, of one shape."""
        values, hit = confidences.ravel().astype(np.float64), hits.ravel()
        count = len(self._pairs)
        place = np.clip((values * count).astype(np.int64), 0, count - 1)
        self._pairs += np.bincount(place, minlength=count)
        self._confidences += np.bincount(place, weights=values, minlength=count)
        self._hits += np.bincount(place[hit], minlength=count)

    def bins(self) -> list[CalibrationBin]:
        """All bins, those without a pair included."""
        count = len(self._pairs)
        return [
            CalibrationBin(
                start=index / count,
                end=(index + 1) / count,
                pairs=int(pairs),
                confidence=float(confidence / pairs) if pairs else None,
                hit_rate=float(hits / pairs) if pairs else None,
            )
            for index, (pairs, confidence, hits) in enumerate(
                zip(self._pairs, self._confidences, self._hits, strict=True)
            )
        ]

    def error(self) -> float:
        """Expected calibration error: |mean confidence - hit rate|, averaged over the pairs; 0 without any."""
        return float(np.abs(self._confidences - self._hits).sum() / max(1, self._pairs.sum()))
