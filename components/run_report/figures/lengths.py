"""The lengths of the videos of each split."""

from matplotlib.ticker import PercentFormatter

from components.run_report.document import RunDocument
from components.run_report.figures.canvas import HALF, margins, new_axes, new_figure, to_svg
from components.run_report.figures.colours import ACCENT, INK, MUTED
from components.run_report.statistics import SplitStatistics
from components.run_report.units import is_number

_COLOURS = {"train": MUTED, "eval": ACCENT, "holdout": INK}


def lengths(report: RunDocument) -> str | None:
    """Draws a histogram of the number of frames for each split, as shares of its videos."""
    found = {split: one for split, one in (report.statistics or {}).items() if _is_drawable(one)}
    if not found:
        return None
    figure = new_figure(HALF, 110 + 110 * len(found))
    margins(figure, left=60, right=16, top=26, bottom=46, hspace=0.5)
    first = None
    for place, (split, one) in enumerate(found.items()):
        first = axes = new_axes(figure, len(found), 1, place + 1, sharex=first, sharey=first)
        bins = one.frames.histogram
        axes.bar(
            [bar.start for bar in bins],
            [bar.videos / one.videos for bar in bins],
            [(bar.end - bar.start) * 0.94 for bar in bins],
            align="edge",
            color=_COLOURS[split],
        )
        axes.set_title(f"{split}: {one.videos:,} videos", loc="left", weight="bold", pad=6)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_ylabel("videos")
    axes.set_xlabel("frames (one a second)")
    return to_svg(
        figure,
        "lengths",
        "Lengths of the videos",
        "; ".join(
            f"{split}: {one.frames.min:g} to {one.frames.max:g} frames, mean {one.frames.mean:.1f}"
            for split, one in found.items()
        ),
    )


def _is_drawable(one: SplitStatistics) -> bool:
    """Whether a split has videos, lengths that differ, and numbers for them."""
    frames = one.frames
    bars = (x for bar in frames.histogram for x in (bar.start, bar.end, bar.videos))
    return bool(frames.histogram) and is_number(frames.min, frames.mean, frames.max, *bars) and one.videos > 0
