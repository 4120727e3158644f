"""The conditions of a blessing at their edges, and the bins of the slices."""

import numpy as np
import pytest

from components.evaluator.blessing import directory_bytes, gap_checks, label_checks, size_checks, verdict
from components.evaluator.slices import BINS, frames_bin, labels_bin


def passed(checks):
    return {check.name: check.passed for check in checks}


@pytest.mark.parametrize(("gap", "enough"), [(0.7, True), (float(np.nextafter(0.7, 0)), False)])
def test_floor(gap, enough):
    checks = gap_checks(gap, None, 0.7, 0.0)
    assert passed(checks) == {"gap_floor": enough, "served_gap": True}
    assert verdict(checks)["blessed"] is enough


@pytest.mark.parametrize(
    ("gap", "enough"), [(0.75, True), (float(np.nextafter(0.75, 0)), False), (0.9, True)]
)
def test_drop_below_the_served_model(gap, enough):
    checks = gap_checks(gap, 0.875, 0.0, 0.125)
    assert passed(checks) == {"gap_floor": True, "served_gap": enough}


def sliced(**videos):
    return [
        {"feature": "num_labels", "bin": name.removeprefix("labels_"), "candidate": {"videos": count}}
        for name, count in videos.items()
    ] + [{"feature": "num_frames", "bin": "1-60", "candidate": {"videos": 9}}]


def test_nothing_is_blessed_without_positive_labels():
    assert passed(label_checks(sliced(labels_0=7, labels_3=2))) == {"labels": True}
    checks = [*label_checks(sliced(labels_0=9)), *gap_checks(0.0, None, 0.0, 1.0)]
    assert verdict(checks)["blessed"] is False
    assert verdict(checks)["reasons"] == ["no video of the eval split has labels"]
    assert passed(label_checks([])) == {"labels": False}


def test_no_gap_is_no_blessing():
    assert not verdict(gap_checks(None, 0.5, 0.0, 1.0))["blessed"]


@pytest.mark.parametrize(
    ("tensors", "directory", "failed"),
    [(1000, 1000, set()), (1001, 1000, {"tensor_bytes"}), (1000, 1001, {"directory_bytes"})],
)
def test_size_limit(tensors, directory, failed):
    checks = size_checks(tensors, directory, 1000)
    assert {check.name for check in checks if not check.passed} == failed


def test_reasons_are_what_failed_or_else_what_passed():
    sizes = size_checks(1001, 1001, 1000)
    bad = verdict([*gap_checks(0.8, 0.7, 0.5, 0.0), *sizes])
    assert (bad["blessed"], bad["reasons"]) == (False, [check.text for check in sizes])
    good = verdict(gap_checks(0.8, 0.7, 0.5, 0.0))
    assert (good["blessed"], len(good["reasons"])) == (True, 2)
    assert "0.800000 against 0.700000 of the served model: +0.100000" in good["reasons"][1]


def test_directory_bytes(tmp_path):
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(b"12345")
    (tmp_path / "variables" / "variables.index").write_bytes(b"123")
    assert directory_bytes(str(tmp_path)) == 8


def test_bins():
    assert BINS["num_labels"] == ("0", "1", "2", "3", "4-5", "6+")
    assert BINS["num_frames"] == ("1-60", "61-120", "121-180", "181-240", "241-300")
    assert [labels_bin(count) for count in (0, 1, 4, 5, 6, 40)] == ["0", "1", "4-5", "4-5", "6+", "6+"]
    assert {frames_bin(count) for count in range(1, 301)} == set(BINS["num_frames"])
    with pytest.raises(ValueError, match="Received: 301"):
        frames_bin(301)


def test_the_texts_say_the_holdout_and_give_the_selection_gap_beside_it():
    floor, served = gap_checks(0.68, 0.67, 0.7, 0.1, holdout=True, selection_gap=0.71)
    assert not floor.passed, "it is the holdout that counts"
    assert floor.text == (
        "GAP 0.680000 on the holdout (0.710000 on the eval split, on which it was chosen) is below the floor of "
        "0.700000"
    )
    assert served.text.startswith(
        "GAP 0.680000 on the holdout against 0.670000 of the served model: +0.010000"
    )
    assert "holdout" not in "".join(check.text for check in gap_checks(0.68, 0.67, 0.7, 0.1))
