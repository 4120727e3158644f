import numpy as np
import pytest

from trainer.metrics.calibration import Calibration


def test_bins_hold_their_start_and_the_last_one_its_end():
    calibration = Calibration(bins=4)
    confidences = np.array([[0.0, 0.25], [0.2499, 1.0]], np.float32)
    calibration.update(confidences, np.array([[False, True], [True, False]]))
    assert [one.pairs for one in calibration.bins()] == [2, 1, 0, 1]
    assert [one.hit_rate for one in calibration.bins()] == [0.5, 1.0, None, 0.0]
    assert calibration.bins()[1].confidence == 0.25
    assert calibration.bins()[2].confidence is None


def test_equal_to_a_literal_sum_whatever_the_batches():
    rng = np.random.default_rng(0)
    confidences, hits = rng.random((50, 20), np.float32), rng.random((50, 20)) < 0.3
    whole, parts = Calibration(), Calibration()
    whole.update(confidences, hits)
    for start in range(0, 50, 7):
        parts.update(confidences[start : start + 7], hits[start : start + 7])
    assert [one.pairs for one in whole.bins()] == [one.pairs for one in parts.bins()]
    expected = 0.0
    for place in range(20):
        inside = (confidences >= place / 20) & (confidences < (place + 1) / 20)
        expected += abs(confidences[inside].astype(float).sum() - hits[inside].sum())
    assert whole.error() == pytest.approx(expected / 1000, abs=1e-3)
    assert parts.error() == pytest.approx(whole.error(), abs=1e-12)


def test_nothing_has_no_error():
    assert Calibration().error() == 0
