"""GAP by slice, of the candidate and of the model that was served before."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from components.evaluator.report import SliceMetrics
from components.run_report.figures.canvas import HALF, SMALL, margins, new_axes, new_figure, to_svg
from components.run_report.figures.colours import ACCENT, INK, LINE, MUTED, SURFACE
from components.run_report.units import is_number
from trainer.metrics.video_metrics import Metrics

_LINE = 26
_GAP_COLUMN, _VIDEOS_COLUMN = 56, 110
"""Distances of the right edges of two columns of numbers from the axes, in pixels."""


def slices(rows: Sequence[SliceMetrics], overall: float | None, feature: str, title: str) -> str | None:
    """Draws a row for each slice, with a dot for the GAP of each model and a bar between them.

    Args:
        rows: The slices of one feature.
        overall: GAP of the candidate on all videos; None where it is not known.
        feature: Name of the feature, such as num_labels, for the picture's id.
        title: What the slices are, for the picture's title.

    Returns:
        The picture as SVG; None where no slice has a GAP.
    """
    rows = [row for row in rows if _has_gap(row.candidate)]
    if not rows:
        return None
    names = [row.bin for row in rows]
    left = 24 + max(map(len, names)) * SMALL * 0.58
    figure = new_figure(HALF, 66 + _LINE * len(rows))
    axes = new_axes(figure)
    margins(figure, left=min(left, 190), right=_VIDEOS_COLUMN + 12, top=26, bottom=44)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    compared = any(_has_gap(row.baseline) for row in rows)
    if is_number(overall):
        axes.axvline(overall, color=ACCENT, lw=1, ls=(0, (3, 3)), zorder=1)
    for place, row in enumerate(rows):
        gap = row.candidate.gap
        if _has_gap(row.baseline):
            served = row.baseline.gap
            axes.plot([served, gap], [place, place], color=LINE, lw=3, zorder=2, solid_capstyle="butt")
            axes.plot(served, place, marker="o", ms=8, mfc=SURFACE, mec=MUTED, mew=1.6, ls="none", zorder=3)
        axes.plot(gap, place, marker="o", ms=8, color=ACCENT, ls="none", zorder=4)
        _beside(axes, place, _GAP_COLUMN, f"{gap:.4f}", INK)
        _beside(axes, place, _VIDEOS_COLUMN, f"{row.candidate.videos:,}", MUTED)
    _beside(axes, -0.85, _GAP_COLUMN, "GAP", MUTED)
    _beside(axes, -0.85, _VIDEOS_COLUMN, "videos", MUTED)
    axes.set_yticks(range(len(rows)), names)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.06)
    axes.set_xlabel("GAP: ● candidate, ○ served before" if compared else "GAP (dashed: all videos)")
    low, high = (pick(rows, key=lambda row: row.candidate.gap) for pick in (min, max))
    return to_svg(
        figure,
        f"slices-{feature.replace('_', '-')}",
        f"GAP by {title}",
        f"Lowest for {low.bin} ({low.candidate.gap:.4f}), highest for {high.bin} ({high.candidate.gap:.4f}).",
    )


def _has_gap(metrics: Metrics | None) -> bool:
    return bool(metrics) and is_number(metrics.gap)


def _beside(axes: Axes, place: float, distance: float, text: str, colour: str) -> None:
    """Writes a text at the right of the axes, in the row of a slice, that ends at a distance from them."""
    axes.annotate(
        text, (1, place), xycoords=("axes fraction", "data"), xytext=(distance, 0), textcoords="offset points",
        ha="right", va="center_baseline", fontsize=SMALL, color=colour, annotation_clip=False,
    )  # fmt: skip
