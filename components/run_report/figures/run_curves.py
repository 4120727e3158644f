"""What the Trainers of several runs logged, laid over each other: a panel a variant, a line a run."""

from collections.abc import Mapping, Sequence

from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator

from components.run_report.curves import Curve
from components.run_report.figures.canvas import FULL, SMALL, margins, new_axes, new_figure, to_svg
from components.run_report.figures.colours import INK, series_styles
from components.run_report.figures.training_curves import CURVES

_COLUMNS, _PANEL, _KEY = 3, 190, 18


def run_curves(runs: Sequence[str], curves: Mapping[str, Sequence[Curve | None]], tag: str) -> str | None:
    """Draws the curves of the variants that several runs trained. All panels have the same axes.

    Args:
        runs: The names of the runs.
        curves: For each variant its curve in each run; None where it has none.
        tag: Which curve it is, one of CURVES.

    Returns:
        The picture as SVG; None where no variant has a curve in two runs.
    """
    found = {
        variant: {
            run: points for run, curve in zip(runs, row, strict=True) if curve and (points := curve.finite())
        }
        for variant, row in curves.items()
    }
    found = {variant: lines for variant, lines in found.items() if len(lines) > 1}
    if not found:
        return None
    title, unit, form = CURVES[tag]
    styles, rows = series_styles(list(runs)), -(-len(found) // _COLUMNS)
    above = 34 + _KEY * len(runs)
    figure = new_figure(FULL, above + 30 + _PANEL * rows)
    margins(figure, left=64, right=16, top=above, bottom=46, wspace=0.08, hspace=44 / (_PANEL - 44))
    first = None
    for place, (variant, lines) in enumerate(found.items()):
        axes = new_axes(
            figure, rows, _COLUMNS, place + 1, **({"sharex": first, "sharey": first} if first else {})
        )
        first = first or axes
        for run, points in lines.items():
            axes.plot(*zip(*points, strict=True), color=styles[run].colour, ls=styles[run].dashes, lw=1.4)
        axes.set_title(variant, loc="left", weight="bold", pad=8)
        axes.tick_params(labelleft=place % _COLUMNS == 0)
        if place % _COLUMNS == 0:
            axes.set_ylabel(unit if rows == 1 else title)
        if place >= len(found) - _COLUMNS:
            axes.set_xlabel("training step")
    if tag == "loss" and all(
        value > 0 for lines in found.values() for points in lines.values() for _, value in points
    ):
        first.set_yscale("log")
        first.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        first.yaxis.set_major_formatter("{x:g}")
        first.minorticks_off()
    first.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    first.xaxis.set_major_formatter(EngFormatter(sep=""))
    height = figure.get_size_inches()[1] * 72
    for place, run in enumerate(runs):
        y = 1 - (14 + _KEY * place) / height
        line = first.plot([64 / FULL, 92 / FULL], [y, y], transform=figure.transFigure, clip_on=False)[0]
        line.set(color=styles[run].colour, linestyle=styles[run].dashes)
        figure.text(100 / FULL, y, run, va="center", fontsize=SMALL, color=INK)
    ends = "; ".join(
        f"{variant}: " + ", ".join(f"{run} {points[-1][1]:{form}}" for run, points in lines.items())
        for variant, lines in found.items()
    )
    return to_svg(
        figure, f"compared-{tag.replace('_', '-')}", f"{title} of several runs", f"At the end: {ends}."
    )
