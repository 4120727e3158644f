"""Pictures of reports, whole and thin: well-formed, of the page's colours, with words, and true to the numbers."""

import itertools
import json
import math
import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.run_report.comparison.comparison import compare
from components.run_report.comparison.comparison_page import comparison_figures
from components.run_report.document import MemberRow
from components.run_report.figures.averaging import averaging
from components.run_report.figures.calibration import calibration
from components.run_report.figures.colours import series_styles, variant_styles
from components.run_report.figures.dag import dag
from components.run_report.figures.ensembles import ensembles
from components.run_report.figures.labels import spread
from components.run_report.figures.lengths import lengths
from components.run_report.figures.size_gap import pareto_front, size_gap
from components.run_report.figures.slices import slices
from components.run_report.figures.training_curves import CURVES, training_curve
from components.run_report.page import page_figures
from components.run_report.run_facts import RunFacts
from tests.components.report_samples import INFERIOR, TABLE_1, big_report, facts, run_document, with_parts

DRAW = {
    "size_gap": size_gap,
    "ensembles": ensembles,
    "calibration": calibration,
    "lengths": lengths,
    "loss": lambda report: training_curve(report, "loss"),
    "learning_rate": lambda report: training_curve(report, "learning_rate"),
    "dag": lambda report: dag(report.run),
    "slices": lambda report: slices(
        report.evaluation.slices if report.evaluation else (), 0.9, "num_labels", "labels"
    ),
}


@pytest.fixture(scope="module")
def report():
    return big_report()


def texts(svg: str) -> list[str]:
    return [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize("name", DRAW)
def test_a_picture_is_a_part_of_the_page(report, name):
    svg = DRAW[name](report)
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    title, description = root[0], root[1]
    assert (title.tag[-5:], description.tag[-4:]) == ("title", "desc")
    assert title.text
    assert description.text
    assert root.get("aria-labelledby").split() == [title.get("id"), description.get("id")]
    assert texts(svg), "text is text, and not shapes"
    # No colour of its own but through the page's variables, and no font.
    assert not re.findall(r"#[0-9a-fA-F]{6}\b", svg)
    assert "DejaVu" not in svg
    used = re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg)
    ids = re.findall(r' id="([^"]+)"', svg)
    assert len(ids) == len(set(ids))
    assert {first or second for first, second in used} <= set(ids)


@pytest.mark.parametrize("name", DRAW)
def test_nothing_to_draw_is_no_picture(name):
    assert DRAW[name](run_document()) is None
    assert averaging(run_document()) is None


def test_every_member_is_named_at_its_point_and_the_inferior_are_marked(report):
    named = [text for text in texts(size_gap(report)) if text.startswith("K")]
    assert sorted(named) == sorted([*TABLE_1, *(f"{name} (inferior)" for name in INFERIOR)])


def test_averaging_has_a_panel_a_variant_with_its_best_gap():
    report = big_report()
    few = {name: report.averaging[name] for name in ("K24-H1440", "K16-H256")}
    found = texts(averaging(run_document(averaging=few)))
    assert {"K24-H1440", "0.8744", "K16-H256", "0.8594"} <= set(found)


def test_every_ensemble_has_its_gap_and_its_members(report):
    found = texts(ensembles(report))
    assert [text for text in found if re.fullmatch(r"0\.88\d\d|0\.87\d\d", text)] == [
        f"{one.gap:.4f}" for one in report.ensembles
    ]
    assert "limit 1024 MiB" in found
    assert sum(text.startswith("K24-H1440") for text in found) == 4


def test_a_limit_far_away_is_told_in_words(report):
    ensemble = report.ensemble
    small = with_parts(report, ensemble={**ensemble.document(), "limit_bytes": 10 * ensemble.limit_bytes})
    assert "limit 10240 MiB, 10 times as long as the longest bar" in texts(ensembles(small))


def test_learning_rates_that_are_all_the_same_are_named_once(report):
    assert [text for text in texts(DRAW["learning_rate"](report)) if "variants" in text] == [
        "all 20 variants"
    ]


def test_the_graph_names_every_step_with_its_state():
    run = RunFacts.model_validate(facts(["K2-H4", "K4-H4"], "failed", "Trainer-K4-H4: no"))
    svg = dag(run)
    assert re.findall(r'data-state="([^"]+)"', svg) == [node.state for node in run.nodes]
    assert "<title>CheckpointAverager-K4-H4: not begun</title>" in svg
    assert svg.count('class="edge"') == sum(len(node.upstream) for node in run.nodes)


def test_colours_are_those_of_the_variant_in_every_picture(report):
    styles = variant_styles(report)
    assert len({(one.colour, one.marker) for one in styles.values()}) == 20
    only_trained = run_document(training=report.training)
    assert set(variant_styles(only_trained)) == set(report.training)
    assert (
        len({(one.colour, one.marker) for one in series_styles([str(n) for n in range(28)]).values()}) == 28
    )


def test_pareto_front():
    rows = [(1, 0.5), (2, 0.4), (2, 0.6), (3, 0.6), (4, 0.7)]
    members = [MemberRow.model_construct(stored_mib=mib, gap=gap) for mib, gap in rows]
    assert pareto_front(members) == [members[0], members[2], members[4]]


@given(st.lists(st.floats(-50, 150), max_size=12), st.floats(0.1, 30))
def test_labels_keep_their_distance_their_order_and_within_bounds(wanted, gap):
    places = spread(wanted, gap, 0, 100)
    least = min(gap, 100 / max(1, len(wanted) - 1))
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    ordered = sorted(zip(wanted, places, strict=True))
    for (one, lower), (other, higher) in itertools.pairwise(ordered):
        assert abs(higher - lower) >= least - 1e-6
        assert one == other or lower < higher


def changed(value, change, key=""):
    """The report with every number replaced by what `change` makes of it."""
    if isinstance(value, dict):
        return {key: changed(one, change, key) for key, one in value.items()}
    if isinstance(value, list):
        return [changed(one, change, key) for one in value]
    return change(key, value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def one_member(report):
    (name, *_) = TABLE_1
    for key in ("training", "averaging", "compression"):
        report[key] = {name: report[key][name]}
    ensemble = report["ensemble"]
    ensemble["members"] = [row for row in ensemble["members"] if row["variant"] == name]
    ensemble["ensembles"] = [{"members": [name], "weights": [1.0], "bytes": 400_000_000, "gap": 0.87}]
    for one in report["evaluation"]["slices"]:
        one["baseline"] = None
    return report


def one_snapshot(report):
    for one in report["averaging"].values():
        one.update(candidates=[one["best_single"]], best=one["best_single"], best_average=None)
    for curves in report["training"].values():
        for curve in curves.values():
            curve.update(steps=curve["steps"][-1:], values=curve["values"][-1:])
    return report


def nothing_in_it(report):
    for one in report["averaging"].values():
        one.update(candidates=[], best_single=None, best_average=None)
    for curves in report["training"].values():
        for curve in curves.values():
            curve.update(steps=[], values=[])
    for one in report["statistics"].values():
        one.update(videos=0)
        one["frames"]["histogram"] = []
    report["ensemble"]["analysis"]["calibration"].update(pairs=0, bins=[])
    report["ensemble"]["ensembles"], report["evaluation"]["slices"], report["run"]["nodes"] = [], [], []
    return report


def one_of_each_broken(report):
    """As a variant that diverged beside others that did not."""
    report["ensemble"]["members"][0]["gap"] = report["ensemble"]["ensembles"][0]["gap"] = math.nan
    for one in (report["averaging"], report["training"]):
        one[next(iter(one))] = changed(
            one[next(iter(one))], lambda key, value: math.nan if type(value) is float else value
        )
    report["evaluation"]["slices"][0]["candidate"]["gap"] = math.nan
    report["ensemble"]["analysis"]["calibration"]["bins"][0]["hit_rate"] = math.nan
    return report


DEGENERATE = {
    "one member": one_member,
    "one snapshot": one_snapshot,
    "one of each": lambda report: one_snapshot(one_member(report)),
    "nothing in it": nothing_in_it,
    "all equal": lambda report: changed(report, lambda key, value: type(value)(1)),
    "zero": lambda report: changed(report, lambda key, value: type(value)(0)),
    "NaN": lambda report: changed(report, lambda key, value: math.nan if type(value) is float else value),
    "infinite": lambda report: changed(
        report, lambda key, value: math.inf if type(value) is float else value
    ),
    "one of each NaN": one_of_each_broken,
    "no metrics": lambda report: {**report, "compression": {}, "ensemble": None},
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_every_figure_copes_with_what_a_short_or_broken_run_leaves(case):
    found = run_document(**DEGENERATE[case](json.loads(json.dumps(big_report().document()))))
    drawn = {
        **{name: draw() for name, draw in page_figures(found).items()},
        **{name: draw() for name, draw in comparison_figures(compare({"a": found, "b": found})).items()},
    }
    assert set(drawn) >= {*CURVES, "averaging", "dag", "members", "slices-num_labels"}
    for svg in drawn.values():
        if svg is not None:
            assert not re.search(r"\b(nan|inf)\b", ET.tostring(ET.fromstring(svg), encoding="unicode"))
