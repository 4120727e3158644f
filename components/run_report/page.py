"""The page of a run: a pure function of its report."""

from collections.abc import Sequence
from functools import partial

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from components.ensemble_assembler.report import Analysis
from components.evaluator.report import EvaluationResults, SliceMetrics
from components.pusher.model_card import without_front_matter
from components.run_report.document import RunDocument
from components.run_report.figures.averaging import averaging, averaging_caption
from components.run_report.figures.calibration import calibration
from components.run_report.figures.dag import dag
from components.run_report.figures.drawing import Draw, draw_all
from components.run_report.figures.ensembles import ensembles
from components.run_report.figures.lengths import lengths
from components.run_report.figures.size_gap import size_gap
from components.run_report.figures.slices import slices
from components.run_report.figures.training_curves import CURVES, training_curve
from components.run_report.markdown_html import markdown_html
from components.run_report.page_tables import artifacts_table, classes_table, data_table, nodes_table
from components.run_report.summary import headline, tiles
from components.run_report.tables import (
    data_notes,
    drift_table,
    ensembles_table,
    half_time_table,
    holdout_line,
    members_table,
    models_table,
    moved_classes_table,
    slices_table,
)
from components.run_report.units import duration, is_number

_SLICES = {
    "num_labels": "number of labels",
    "num_frames": "number of frames",
    "span": "span",
    "vertical": "vertical",
}

_NOT_EVALUATED = EvaluationResults(candidate=None, baseline=None)


def render_page(report: RunDocument) -> str:
    """Renders the report as one self-contained HTML file.

    It has no script and loads nothing from the network; it has a light and a dark form, and one for paper.

    Args:
        report: The report. Where a part of it is missing, the page says so.
    """
    analysis = _analysis(report)
    evaluation = report.evaluation or _NOT_EVALUATED
    run = report.run
    figures = draw_all(page_figures(report))
    tables = {
        "members": members_table(report),
        "ensembles": ensembles_table(report),
        "half_time": half_time_table(report),
        "drift": drift_table(report),
        "moved": moved_classes_table(report),
        "data": data_table(report),
        "models": models_table(evaluation),
        "slices": slices_table(_slices(report)),
        "best": classes_table("Best classes", analysis.classes.best if analysis else ()),
        "worst": classes_table("Worst classes", analysis.classes.worst if analysis else ()),
        "nodes": nodes_table(run),
        "artifacts": artifacts_table(run),
    }
    template = environment().get_template("report.html.j2")
    return template.render(
        report=report,
        title=f"{run.pipeline}, run {run.run_id}" if run else "A run",
        headline=headline(report),
        tiles=tiles(report),
        figures=figures,
        slice_figures={
            title: figures[f"slices-{feature}"]
            for feature, title in _SLICES.items()
            if figures[f"slices-{feature}"]
        },
        tables={name: table if table.rows else None for name, table in tables.items()},
        data_notes=data_notes(report.data) if report.data else [],
        unmeasured=[row.name for row in report.members if not is_number(row.stored_mib, row.gap)],
        averaging_caption=averaging_caption(report),
        analysis=analysis,
        drifted=any(row[-1] == "drift" for row in tables["drift"].rows),
        holdout=holdout_line(report.evaluation),
        curves=CURVES,
        card=_card(report),
        recipe=yaml.safe_dump(run.recipe, sort_keys=False) if run else "",
    )


def environment() -> Environment:
    """Makes the environment that renders the templates of the pages, in which HTML is escaped."""
    made = Environment(
        loader=PackageLoader("components.run_report"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["duration"] = duration
    return made


def page_figures(report: RunDocument) -> dict[str, Draw]:
    """Makes the functions that draw the figures of the page, by the figure's name."""
    drawn: dict[str, Draw] = {
        "size_gap": partial(size_gap, report),
        "ensembles": partial(ensembles, report),
        "averaging": partial(averaging, report),
        "calibration": partial(calibration, report),
        "lengths": partial(lengths, report),
        "dag": partial(dag, report.run),
        **{tag: partial(training_curve, report, tag) for tag in CURVES},
    }
    for feature, title in _SLICES.items():
        rows = [row for row in _slices(report) if row.feature == feature]
        drawn[f"slices-{feature}"] = partial(slices, rows, _overall_gap(report, feature), feature, title)
    return drawn


def _overall_gap(report: RunDocument, feature: str) -> float | None:
    """The GAP on all videos that the slices of a feature are parts of.

    Verticals are the assembler's, and so of the eval split, also where the evaluation is of the holdout.
    """
    evaluation = report.evaluation or _NOT_EVALUATED
    if feature == "vertical" and evaluation.is_holdout:
        return evaluation.selection_gap
    return evaluation.candidate and evaluation.candidate.gap


def _slices(report: RunDocument) -> Sequence[SliceMetrics]:
    """The Evaluator's slices and the assembler's verticals; none where nothing was evaluated."""
    if not report.evaluation or not report.evaluation.candidate:
        return ()
    analysis = _analysis(report)
    verticals = (
        SliceMetrics(feature="vertical", bin=one.name, candidate=one.metrics, baseline=None)
        for one in (analysis.verticals if analysis else ())
    )
    return (*report.evaluation.slices, *verticals)


def _analysis(report: RunDocument) -> Analysis | None:
    return report.ensemble and report.ensemble.analysis


def _card(report: RunDocument) -> Markup | None:
    text = report.push and report.push.model_card
    return Markup(markdown_html(without_front_matter(text))) if text else None
