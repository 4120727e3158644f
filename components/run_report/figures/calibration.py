"""The calibration of the ensemble: how often it is right at each confidence."""

from dataclasses import astuple

from matplotlib.ticker import EngFormatter, PercentFormatter

from components.run_report.document import RunDocument
from components.run_report.figures.canvas import HALF, margins, new_axes, new_figure, to_svg
from components.run_report.figures.colours import ACCENT, MUTED
from components.run_report.units import is_number


def calibration(report: RunDocument) -> str | None:
    """Draws the share of hits over the confidence beside the diagonal of a perfect model, and below it the pairs."""
    analysis = report.ensemble and report.ensemble.analysis
    if not analysis or not analysis.calibration.pairs:
        return None
    found = analysis.calibration
    bins = [one for one in found.bins if one.pairs and is_number(*astuple(one))]
    if not bins or not is_number(found.error):
        return None
    figure = new_figure(HALF, 420)
    grid = figure.add_gridspec(2, 1, height_ratios=(3.4, 1), hspace=0.12)
    curve, counts = (new_axes(figure, cell) for cell in grid)
    margins(figure, left=60, right=20, top=14, bottom=46)
    curve.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (4, 3)))
    curve.plot(
        [one.confidence for one in bins], [one.hit_rate for one in bins], marker="o", ms=5, color=ACCENT
    )
    counts.bar(
        [one.start for one in bins],
        [one.pairs for one in bins],
        [one.end - one.start for one in bins],
        align="edge",
        color=ACCENT,
        alpha=0.55,
    )
    counts.set_yscale("log")
    counts.yaxis.set_major_formatter(EngFormatter(sep=""))
    counts.minorticks_off()
    for axes in (curve, counts):
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1))
    curve.set_ylim(0, 1)
    curve.yaxis.set_major_formatter(PercentFormatter(1))
    curve.tick_params(labelbottom=False)
    curve.set_ylabel("share that are labels")
    counts.set_ylabel("pairs")
    counts.set_xlabel("confidence of a pair (video, class)")
    return to_svg(
        figure,
        "calibration",
        "Calibration: share of hits over the confidence",
        f"Expected calibration error {found.error:.4f} over {found.pairs:,} pairs.",
    )
