"""Runs side by side: what is compared, and the page of it."""

import json
import re

import pytest

from components.run_report.comparison.comparison import compare
from components.run_report.comparison.comparison_page import render_comparison
from components.run_report.comparison.document import Comparison
from tests.components.report_pages import big_report_of_a_file, self_contained
from tests.components.report_samples import run_document, with_parts


@pytest.fixture(scope="module")
def short():
    """With the curves of two variants, which take a moment to draw."""
    report = big_report_of_a_file()
    return with_parts(report, training={name: report.training[name] for name in ("K24-H1440", "K16-H256")})


def test_runs_side_by_side(short):
    report = short
    few = ("K24-H1440", "K32-H1024", "K16-H800", "K32-H512", "K16-H512")
    ensemble = report.ensemble.document()
    ensemble["members"] = [row for row in ensemble["members"] if row["variant"] in few]
    smaller = with_parts(
        report,
        averaging={name: report.averaging[name] for name in few},
        compression={name: report.compression[name] for name in few},
        ensemble={**ensemble, "ensembles": ensemble["ensembles"][:1]},
        push=None,
    )
    comparison = compare({"runs/a": report, "runs/<b>": smaller, "empty": run_document()})
    written = json.loads(json.dumps(comparison.document(), allow_nan=False))
    assert Comparison.model_validate(written) == comparison
    assert [run.gap for run in comparison.runs] == [0.8821, 0.8821, None]
    assert [run.pushed_version for run in comparison.runs] == [3, None, None]
    first = comparison.members[0]
    assert (first.variant, first.runs[0], first.runs[2]) == ("K24-H1440", first.runs[1], None)
    assert first.runs[0].training_seconds == 61.5 * 5
    assert comparison.members[1].runs[1] is None
    page = render_comparison(comparison)
    self_contained(page)
    assert page.count("<svg") == 4
    assert "runs/&lt;b&gt;" in page


def test_the_difference_of_two_runs_is_that_of_their_recipes_curves_and_gap_on_the_same_videos(short):
    report = short
    slower = {
        **report.run.recipe,
        "training": {"learning_rate": 0.0002},
        "data": {"validate": ["a", "b"]},
    }
    document = report.document()
    document["run"]["recipe"], document["evaluation"]["candidate"]["gap"] = slower, 0.87
    other = run_document(**document)
    comparison = compare({"a": report, "b": other})
    assert comparison.document()["recipes"] == (
        {"key": "data.validate", "values": ("default", "a, b")},
        {"key": "training.learning_rate", "values": ("default", "0.0002")},
    )
    assert [run.gap_to_best for run in comparison.runs] == [0.0, pytest.approx(-0.0121)]
    assert comparison.same_eval_videos
    assert comparison.curves["loss"].keys() == report.training.keys()
    page = render_comparison(comparison)
    self_contained(page)
    for text in (
        "<td>training.learning_rate</td>",
        "<td>0.0002</td>",
        ">-0.0121</td>",
        "all panels have the same axes",
    ):
        assert text in page
    assert "not known to be the same" not in page


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"videos": 17_601}, "no other run was measured on the same videos"),
        ({"labels": 52_977}, "no other run was measured on the same videos"),
        (None, "it is not known which videos it was measured on"),
    ],
)
def test_runs_on_other_eval_videos_have_no_difference_of_gap(short, changes, reason):
    data = short.data.document()
    data["splits"]["eval"] |= changes or {}
    comparison = compare({"a": short, "b": with_parts(short, data=changes and data)})
    assert [run.gap_to_best for run in comparison.runs] == [None, None]
    assert comparison.runs[1].why_no_difference == reason
    page = render_comparison(comparison)
    assert f"No difference of GAP for {'a, b' if changes else 'b'}: {reason}." in page
    assert not re.search(r"[+-]0\.\d{4}</td>", page)
    assert "GAPs of different runs have no difference to speak of" in page


def test_runs_that_measured_nothing_can_be_compared():
    page = render_comparison(compare({"a": run_document(), "b": run_document()}))
    self_contained(page)
    assert "None of the runs has measured a member." in page
