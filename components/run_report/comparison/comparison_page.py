"""The page of several runs side by side: a pure function of their comparison."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from components.run_report.comparison.document import ComparedRun, Comparison, MemberOfRun
from components.run_report.figures.drawing import Draw, draw_all
from components.run_report.figures.run_curves import run_curves
from components.run_report.figures.run_scatter import run_scatter
from components.run_report.page import environment
from components.run_report.tables import Table, make_table, number
from components.run_report.units import duration


def render_comparison(comparison: Comparison) -> str:
    """Renders the comparison as one self-contained HTML file, like the page of a single run."""
    names = [run.name for run in comparison.runs]
    tables = {
        "runs": _runs(comparison),
        "recipes": _recipes(comparison),
        "ensembles": _ensembles(comparison),
        "gap": _members(comparison, "GAP", lambda row: number(row.gap, ".4f")),
        "size": _members(comparison, "MiB", lambda row: number(row.stored_mib, ".2f")),
        "time": _members(comparison, "training", _training_time),
    }
    return environment().get_template("comparison.html.j2").render(
        title=f"{len(names)} runs compared",
        names=names,
        notes=_notes(comparison.runs),
        same_eval_videos=comparison.same_eval_videos,
        figures=draw_all(comparison_figures(comparison)),
        tables={name: table if table.rows else None for name, table in tables.items()},
    )  # fmt: skip


def comparison_figures(comparison: Comparison) -> dict[str, Draw]:
    """Makes the functions that draw the figures of the page, by the figure's name."""
    names = [run.name for run in comparison.runs]
    members = {
        name: [
            (row.variant, one.stored_mib, one.gap)
            for row in comparison.members
            if (one := row.runs[place]) and one.stored_mib and one.gap is not None
        ]
        for place, name in enumerate(names)
    }
    ensembles = {
        name: [("", one.mib, one.gap) for one in found]
        for name, found in zip(names, comparison.ensembles, strict=True)
    }
    return {
        "members": partial(
            run_scatter, members, "compared-members", "Size against GAP of the members of each run"
        ),
        "ensembles": partial(
            run_scatter, ensembles, "compared-ensembles", "Size against GAP of each run's best ensembles"
        ),
        **{tag: partial(run_curves, names, curves, tag) for tag, curves in comparison.curves.items()},
    }


def _notes(runs: Sequence[ComparedRun]) -> list[str]:
    """One sentence for each reason why GAPs have no difference, with the runs that it holds for."""
    reasons: dict[str, list[str]] = {}
    for run in runs:
        if run.why_no_difference and run.gap is not None:
            reasons.setdefault(run.why_no_difference, []).append(run.name)
    return [f"No difference of GAP for {', '.join(names)}: {reason}." for reason, names in reasons.items()]


def _recipes(comparison: Comparison) -> Table:
    columns = [
        (
            run.name,
            False,
            lambda row, place=place: "-" if row.values[place] is None else row.values[place],
        )
        for place, run in enumerate(comparison.runs)
    ]
    return make_table(
        "Differences of the recipes",
        comparison.recipes,
        ("setting", False, lambda row: row.key),
        *columns,
    )


def _runs(comparison: Comparison) -> Table:
    return make_table(
        "Runs",
        comparison.runs,
        ("run", False, lambda run: run.name),
        ("state", False, lambda run: run.state or "-"),
        ("GAP", True, lambda run: number(run.gap, ".4f")),
        ("to the best", True, lambda run: number(run.gap_to_best, "+.4f")),
        ("on", False, lambda run: run.split or "-"),
        ("selection GAP", True, lambda run: number(run.selection_gap, ".4f")),
        ("Hit@1", True, lambda run: number(run.hit_at_one, ".4f")),
        ("PERR", True, lambda run: number(run.perr, ".4f")),
        ("MAP", True, lambda run: number(run.map, ".4f")),
        ("MiB", True, lambda run: number(run.mib, ".2f")),
        ("limit", True, lambda run: number(run.limit_mib, ".0f")),
        ("eval videos", True, lambda run: number(run.eval_videos, ",")),
        ("time", True, lambda run: "-" if run.seconds is None else duration(run.seconds)),
        ("pushed as", True, lambda run: number(run.pushed_version, "d")),
        ("code", False, lambda run: (run.commit or run.version or "-")[:12]),
    )


def _ensembles(comparison: Comparison) -> Table:
    return make_table(
        "Ensembles",
        [run for run in comparison.runs if run.members],
        ("run", False, lambda run: run.name),
        ("members", False, lambda run: " + ".join(run.members)),
        ("weights", False, lambda run: ", ".join(f"{weight:.4g}" for weight in run.weights)),
        ("MiB", True, lambda run: number(run.mib, ".2f")),
        ("GAP", True, lambda run: number(run.gap, ".4f")),
    )


def _members(comparison: Comparison, what: str, text: Any) -> Table:
    """Makes a table with one row for each variant and one column for each run."""
    columns = [
        (run.name, True, lambda row, place=place: text(row.runs[place]) if row.runs[place] else "-")
        for place, run in enumerate(comparison.runs)
    ]
    return make_table(
        f"{what} of members", comparison.members, ("member", False, lambda row: row.variant), *columns
    )


def _training_time(row: MemberOfRun) -> str:
    return "-" if row.training_seconds is None else duration(row.training_seconds)
