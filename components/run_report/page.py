"""The page of a run: a pure function of its report."""

from collections.abc import Callable
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from components.run_report.figures.averaging import averaging
from components.run_report.figures.calibration import calibration
from components.run_report.figures.dag import dag
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
    ensembles_table,
    members_table,
    models_table,
    slices_table,
)
from components.run_report.units import duration

Report = dict[str, Any]

_SLICES = {"num_labels": "number of labels", "num_frames": "number of frames", "vertical": "vertical"}


def render_page(report: Report) -> str:
    """One self-contained HTML file: no script, nothing from the network, light and dark, and for paper.

    Args:
        report: See `assemble_report`; whatever is missing in it is said to be.
    """
    analysis = (report["ensemble"] or {}).get("analysis") or {}
    evaluation = report["evaluation"] or {}
    evaluation = {**evaluation, "slices": [*evaluation.get("slices", ()), *vertical_slices(analysis)]}
    run = report["run"]
    tables = {
        "members": members_table(report),
        "ensembles": ensembles_table(report),
        "data": data_table(report),
        "models": models_table(evaluation),
        "slices": slices_table(evaluation),
        "best": classes_table(analysis, "best"),
        "worst": classes_table(analysis, "worst"),
        "nodes": nodes_table(run),
        "artifacts": artifacts_table(run),
    }
    template = environment().get_template("report.html.j2")
    return template.render(
        report=report,
        title=f"{run['pipeline']}, run {run['run_id']}" if run else "A run",
        headline=headline(report),
        tiles=tiles(report),
        figures=_figures(report),
        slice_figures=_slice_figures(evaluation),
        tables={name: table if table.rows else None for name, table in tables.items()},
        data_notes=data_notes(report["data"]) if report["data"] else [],
        classes=analysis.get("classes"),
        calibration=analysis.get("calibration"),
        curves=CURVES,
        card=_card(report),
        recipe=yaml.safe_dump(run["recipe"], sort_keys=False) if run else "",
    )


def environment() -> Environment:
    """Of the templates, with HTML escaped."""
    made = Environment(
        loader=PackageLoader("components.run_report"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["duration"] = duration
    return made


def _figures(report: Report) -> dict[str, Markup | None]:
    drawn: dict[str, Callable[[Report], str | None]] = {
        "size_gap": size_gap,
        "ensembles": ensembles,
        "averaging": averaging,
        "calibration": calibration,
        "lengths": lengths,
        "dag": lambda report: dag(report["run"]),
    }
    figures = {name: draw(report) for name, draw in drawn.items()}
    figures.update({tag: training_curve(report, tag) for tag in CURVES})
    return {name: None if svg is None else Markup(svg) for name, svg in figures.items()}


def _slice_figures(evaluation: Report) -> dict[str, Markup]:
    """A picture for each kind of slice that was measured, by its title."""
    if not evaluation.get("candidate"):
        return {}
    drawn = {
        title: slices(
            [row for row in evaluation["slices"] if row["feature"] == feature], evaluation, feature, title
        )
        for feature, title in _SLICES.items()
    }
    return {title: Markup(svg) for title, svg in drawn.items() if svg}


def vertical_slices(analysis: Report) -> list[Report]:
    """The assembler's verticals in the form of the Evaluator's slices."""
    return [
        {"feature": "vertical", "bin": one["name"], "candidate": one["metrics"], "baseline": None}
        for one in analysis.get("verticals", ())
    ]


def _card(report: Report) -> Markup | None:
    text = (report["push"] or {}).get("model_card")
    return Markup(markdown_html(text)) if text else None
