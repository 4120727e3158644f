"""Size against GAP, of several runs."""

from components.run_report.figures.canvas import FULL, SMALL, margins, new_axes, new_figure, to_svg
from components.run_report.figures.colours import INK, series_styles
from components.run_report.figures.labels import label_points
from components.run_report.units import is_number

_MANY = 40
"""More points than these are not named one by one."""


def run_scatter(points: dict[str, list[tuple[str, float, float]]], name: str, title: str) -> str | None:
    """A colour and a shape a run, which are told above.

    Args:
        points: Run: (name or "", MiB, GAP).
        name: Of the picture.
        title: Likewise.
    """
    finite = {run: [one for one in found if is_number(*one[1:])] for run, found in points.items()}
    shown = {run: found for run, found in finite.items() if found}
    if not shown:
        return None
    styles = series_styles(list(points))
    figure = new_figure(FULL, 384 + 18 * len(shown))
    axes = new_axes(figure)
    margins(figure, left=64, right=96, top=16 + 18 * len(shown), bottom=48)
    for place, (run, found) in enumerate(shown.items()):
        style = styles[run]
        axes.plot(
            [mib for _, mib, _ in found], [gap for *_, gap in found],
            color=style.colour, marker=style.marker, ms=7, ls="none",
        )  # fmt: skip
        above = 18 * (len(shown) - place)
        key = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
        axes.annotate(run, (0, 1), xytext=(16, above), va="center", fontsize=SMALL, color=INK, **key)
        axes.plot(
            [6 / (FULL - 160)], [1 + above / (384 - 64)],
            transform=axes.transAxes, color=style.colour, marker=style.marker, ms=7, ls="none", clip_on=False,
        )  # fmt: skip
    axes.set_xlabel("size as stored (MiB)")
    axes.set_ylabel("GAP on the eval split")
    axes.margins(x=0.04, y=0.1)
    # A member that runs share, from the cache, is one point and one name.
    named = {point: point[1:] for found in shown.values() for point in found if point[0]}
    if len(named) <= _MANY:
        label_points(axes, named, {point: point[0] for point in named})
    best = {run: max(gap for *_, gap in found) for run, found in shown.items()}
    told = ", ".join(f"{run} {gap:.4f}" for run, gap in best.items())
    return to_svg(figure, name, title, f"Highest GAP: {told}.")
