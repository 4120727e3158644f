"""GAP by slice, of the candidate and of the model that was served before."""

from typing import Any

from matplotlib.axes import Axes

from components.run_report.figures.canvas import HALF, SMALL, margins, new_axes, new_figure, to_svg
from components.run_report.figures.colours import ACCENT, INK, LINE, MUTED, SURFACE
from components.run_report.units import is_number

Row = dict[str, Any]

_LINE = 26
_GAP_COLUMN, _VIDEOS_COLUMN = 56, 110
"""Right edges of the numbers, in pixels from the axes."""


def slices(rows: list[Row], overall: Row, feature: str, title: str) -> str | None:
    """A line a slice: a dot for each model, between them how far they are apart.

    Args:
        rows: [{bin, candidate, baseline}] of the slices of one feature.
        overall: {candidate, baseline} of all videos.
        feature: That they are slices of, for the picture's id.
        title: What the slices are.
    """
    rows = [row for row in rows if row["candidate"] and is_number(row["candidate"]["gap"])]
    rows = [row if _has_gap(row.get("baseline")) else {**row, "baseline": None} for row in rows]
    if not rows:
        return None
    names = [row["bin"] for row in rows]
    left = 24 + max(map(len, names)) * SMALL * 0.58
    figure = new_figure(HALF, 66 + _LINE * len(rows))
    axes = new_axes(figure)
    margins(figure, left=min(left, 190), right=_VIDEOS_COLUMN + 12, top=26, bottom=44)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    compared = any(row.get("baseline") for row in rows)
    if _has_gap(overall["candidate"]):
        axes.axvline(overall["candidate"]["gap"], color=ACCENT, lw=1, ls=(0, (3, 3)), zorder=1)
    for place, row in enumerate(rows):
        gap = row["candidate"]["gap"]
        if row.get("baseline"):
            served = row["baseline"]["gap"]
            axes.plot([served, gap], [place, place], color=LINE, lw=3, zorder=2, solid_capstyle="butt")
            axes.plot(served, place, marker="o", ms=8, mfc=SURFACE, mec=MUTED, mew=1.6, ls="none", zorder=3)
        axes.plot(gap, place, marker="o", ms=8, color=ACCENT, ls="none", zorder=4)
        _beside(axes, place, _GAP_COLUMN, f"{gap:.4f}", INK)
        _beside(axes, place, _VIDEOS_COLUMN, f"{row['candidate']['videos']:,}", MUTED)
    _beside(axes, -0.85, _GAP_COLUMN, "GAP", MUTED)
    _beside(axes, -0.85, _VIDEOS_COLUMN, "videos", MUTED)
    axes.set_yticks(range(len(rows)), names)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.06)
    axes.set_xlabel("GAP: ● candidate, ○ served before" if compared else "GAP (dashed: all videos)")
    low, high = (pick(rows, key=lambda row: row["candidate"]["gap"]) for pick in (min, max))
    return to_svg(
        figure,
        f"slices-{feature.replace('_', '-')}",
        f"GAP by {title}",
        f"Lowest for {low['bin']} ({low['candidate']['gap']:.4f}), highest for {high['bin']} "
        f"({high['candidate']['gap']:.4f}).",
    )


def _has_gap(metrics: Row | None) -> bool:
    return bool(metrics) and is_number(metrics["gap"])


def _beside(axes: Axes, place: float, distance: float, text: str, colour: str) -> None:
    """A text at the right of the axes, in the row of a slice, that ends so far from them."""
    axes.annotate(
        text, (1, place), xycoords=("axes fraction", "data"), xytext=(distance, 0), textcoords="offset points",
        ha="right", va="center_baseline", fontsize=SMALL, color=colour, annotation_clip=False,
    )  # fmt: skip
