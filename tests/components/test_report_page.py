"""The page of a run: self-contained, complete, and in words where something is missing."""

import re

import pytest

from components.run_report.comparison.comparison import compare
from components.run_report.comparison.comparison_page import render_comparison
from components.run_report.figures.averaging import averaging_caption
from components.run_report.markdown_html import markdown_html
from components.run_report.metrics import scalar_metrics
from components.run_report.page import render_page
from components.run_report.summary import headline
from tests.components.report_pages import big_report_of_a_file, self_contained, without_curves
from tests.components.report_samples import averaging, curves, facts, run_document, with_parts


@pytest.fixture(scope="module")
def report():
    return big_report_of_a_file()


@pytest.fixture(scope="module")
def page(report):
    return render_page(report)


def test_the_page_of_twenty_members(page):
    outline = self_contained(page)
    sections = (
        "run",
        "verdict",
        "ensembles",
        "members",
        "slices",
        "classes",
        "training",
        "data",
        "card",
        "lineage",
    )
    assert set(sections) <= set(outline.ids)
    assert 'class="empty"' not in page
    assert page.count("<svg") == 13
    for text in (
        "Pushed as version 3",
        "1019.7 MiB",
        "14,224 combinations",
        "crc mismatch",
        "1,133,323 videos without labels left out (no_labels)",
        "3,844 files named test* left out",
        "commit <code>0123",
    ):
        assert text in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_the_page_of_a_run_with_the_stop_rule(report):
    row = {
        "variant": "K8-H800",
        "step": 100_000,
        "bytes": 2**28,
        "gap": 0.81,
        "videos": 17,
        "stopped_for": "K64-H512",
    }
    assert "Half time" not in render_page(report)
    page = render_page(with_parts(report, half_time={"lead": 0.0, "variants": [row]}))
    (text,) = re.findall(r"<h3>Half time</h3>.*?</table>", page, re.DOTALL)
    assert re.findall(r"<t[dh][^>]*>([^<]*)</t[dh]>", text)[5:] == [
        "K8-H800",
        "100,000",
        "256.00",
        "0.8100",
        "K64-H512",
    ]


def test_the_page_of_a_run_whose_data_have_drifted(report):
    assert "<h3>Drift</h3>" not in render_page(report)
    drift = {
        "span": 3,
        "videos": 2000,
        "served_version": 7,
        "served_videos": 3000,
        "measures": [
            {"name": "classes", "value": 0.06, "threshold": 0.02},
            {"name": "frames", "value": 0.001, "threshold": 0.02},
        ],
        "moved": [{"class": 7, "name": "<Game>", "before": 0.1, "now": 0.3}],
    }
    page = render_page(with_parts(report, drift=drift))
    (text,) = re.findall(r"<h3>Drift</h3>.*?</details>", page, re.DOTALL)
    assert re.findall(r"<td[^>]*>([^<]*)</td>", text) == [
        "classes", "0.0600", "0.0200", "drift", "frames", "0.0010", "0.0200", "none",
        "&lt;Game&gt;", "10.00%", "30.00%", "+20.00%",
    ]  # fmt: skip
    assert "2,000 videos of span 3" in text
    nothing = {"span": 0, "videos": 9, "served_version": None}
    assert "nothing to compare with" in render_page(with_parts(report, drift=nothing))


def test_what_others_wrote_is_shown_and_not_run(page):
    assert "A class with &lt;a name&gt; &amp; number 3000" in page
    assert "<td>&lt;b&gt;x&lt;/b&gt;</td>" in page, "in the model card's Markdown"
    assert "<a name" not in page


def test_what_is_missing_is_said_in_words():
    outline = self_contained(empty := render_page(run_document()))
    assert "svg" not in outline.tags
    assert empty.count('class="empty"') >= 9
    assert "None" not in re.sub(r"<style>.*?</style>", "", empty, flags=re.DOTALL)


def test_a_run_that_failed_in_its_second_trainer_has_a_page():
    variants = ["K2-H4", "K4-H4"]
    error = "Trainer-K4-H4: ValueError: no <good>"
    report = run_document(
        run=facts(variants, "failed", error),
        training={"K2-H4": curves("K2-H4", [10, 200], 0.5, 0), "K4-H4": {}},
        averaging={"K2-H4": averaging("K2-H4", 0.5, 0.4)},
    )
    page = render_page(report)
    self_contained(page)
    assert headline(report) == (f"Failed: {error}", "bad")
    assert "no &lt;good&gt;" in page
    assert 'data-state="failed"' in page
    assert "No ensemble was assembled in this run." in page


def test_the_headline_is_what_became_of_the_run(report):
    refused = {
        "pushed": False,
        "reason": "not blessed by the Evaluator",
        "version": None,
        "destination": None,
    }
    assert headline(report) == ("Pushed as version 3", "good")
    assert headline(with_parts(report, push=refused)) == ("Not pushed: not blessed by the Evaluator", "bad")
    assert headline(run_document()) == ("Nothing was pushed", "neutral")
    for state, text, mood in (
        ("running", "Still running", "neutral"),
        ("stopped", "Stopped before its end; started again, it goes on from there", "bad"),
    ):
        assert headline(run_document(run=facts(["K2-H4"], state))) == (text, mood)


def test_a_version_that_was_pushed_is_the_first_news_of_a_run_that_failed_later(report):
    run = facts(["K2-H4"], "failed", "RunReport: ValueError: no")
    text, mood = headline(with_parts(report, run=run))
    assert text == "Pushed as version 3; what came after it failed: RunReport: ValueError: no"
    assert mood == "bad"


def test_a_figure_that_cannot_be_drawn_leaves_all_others_and_a_sentence(report, page, monkeypatch, caplog):
    def broken(report):
        raise ZeroDivisionError("division by <zero>")

    monkeypatch.setattr("components.run_report.page.averaging", broken)
    without = render_page(report)
    self_contained(without)
    assert without.count("<svg") == page.count("<svg") - 1
    assert "This figure could not be drawn (ZeroDivisionError: division by &lt;zero&gt;)" in without
    assert "Why averaging helps" in without, "the caption says which one it is"
    assert "the figure averaging is left out of the report" in caplog.text
    monkeypatch.setattr(
        "components.run_report.comparison.comparison_page.run_scatter", lambda *_: broken(report)
    )
    compared = render_comparison(without_curves(compare({"a": report, "b": report})))
    assert compared.count("This figure could not be drawn") == 2


def test_what_stands_over_the_averages_follows_from_them(report):
    def with_gains(*gains: float) -> tuple[str, str]:
        reports = {f"K{n}-H4": averaging(f"K{n}-H4", 0.5 + gain, 0.5) for n, gain in enumerate(gains, 1)}
        return averaging_caption(run_document(averaging=reports))

    title, text = with_gains(0.01, 0.02)
    assert title == "Why averaging helps"
    assert text.startswith(
        "The best average is better for each of 2 members; its gain over the best single snapshot is "
        "+0.0150 in the mean."
    )
    title, text = with_gains(0.01, -0.02)
    assert title == "Averages against single snapshots"
    assert text.startswith(
        "The best average is better for 1 of 2 members (not for K2-H4); its gain over the best single "
        "snapshot is -0.0050 in the mean."
    )
    assert "Triangles: what lies below the panel" in text
    assert "Each panel has its own axis of GAP" in text
    alone = averaging("K2-H4", 0.5, 0.5) | {"best_average": None}
    assert averaging_caption(run_document(averaging={"K2-H4": alone}))[1].startswith(
        "No average was measured."
    )


def test_members_that_have_no_place_in_the_picture_are_named(report, page):
    assert "Not shown" not in page
    lost = with_parts(report, averaging={**report.averaging, "K9-H9": averaging("K9-H9", 0.5, 0.4)})
    assert "Not shown, since size or GAP was not measured: K9-H9" in render_page(lost)


def test_lists_that_go_on_say_so(page):
    assert "<h3>The best 10</h3>" in page
    assert "<details><summary>The best 50</summary>" in page
    best = page.split("<h3>The best 10</h3>")[1]
    assert best.split("<details>")[0].count("<tr>") == 11
    assert best.split("<details>")[1].split("</details>")[0].count("<tr>") == 51


def test_a_page_with_a_holdout_says_which_number_is_of_which_split(report):
    judged = {**report.evaluation.document(), "split": "holdout", "selection_gap": 0.8911}
    statistics = {**report.statistics, "holdout": report.statistics["eval"]}
    held = with_parts(report, evaluation=judged, statistics=statistics)
    page = render_page(held)
    self_contained(page)
    for text in (
        "Holdout GAP",
        "Candidate against served model, on the holdout",
        "0.8911 on the eval split, on which averages, members and weights were chosen",
        "By number of labels and of frames: the holdout.",
        "holdout: 17,600 videos",
    ):
        assert text in page
    compared = compare({"a": report, "b": held})
    assert [(run.split, run.selection_gap) for run in compared.runs] == [
        ("eval", None),
        ("holdout", 0.8911),
    ]
    assert '<td class="number">0.8911</td>' in render_comparison(without_curves(compared))


def test_the_cards_markdown():
    html = markdown_html("# A\n\n| x |\n| ---: |\n| 1 |\n\n<script>alert(1)</script>\n")
    assert html.startswith("<h3>A</h3>")
    assert '<div class="scroll" tabindex="0"><table>' in html
    assert "<script" not in html


def test_metrics_of_a_run_and_of_none(report):
    found = scalar_metrics(report)
    assert found["gap"] == 0.8821
    assert found["served_gap"] == 0.8785
    assert found["ensemble_mib"] == pytest.approx(1019.7, abs=0.05)
    assert found["pushed_version"] == 3
    assert found["gap_K24-H1440"] == 0.8744
    assert found["mib_K24-H1440"] == pytest.approx(381.40, abs=0.01)
    assert scalar_metrics(run_document()) == {}
