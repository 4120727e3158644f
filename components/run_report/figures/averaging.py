"""GAP of single snapshots and of averages of ranges of them: whether averaging helps."""

from typing import Any

from matplotlib.ticker import EngFormatter, MaxNLocator

from components.checkpoint_averager.report import AveragingReport
from components.run_report.document import RunDocument
from components.run_report.figures.canvas import FULL, SMALL, margins, new_axes, new_figure, to_svg
from components.run_report.figures.colours import INK, MUTED, variant_names, variant_styles
from components.run_report.units import is_number

_COLUMNS, _PANEL = 3, 190


def averaging(report: RunDocument) -> str | None:
    """Draws a panel for each variant: single snapshots as points, averages as bars over their range of steps.

    The GAP of the best one is written beside it.
    """
    found = {name: _measured(report.averaging.get(name)) for name in variant_names(report)}
    found = {name: one for name, one in found.items() if one}
    if not found:
        return None
    styles = variant_styles(report)
    rows = -(-len(found) // _COLUMNS)
    figure = new_figure(FULL, 60 + _PANEL * rows)
    margins(
        figure, left=58, right=16, top=30, bottom=46, wspace=0.2, hspace=44 / (_PANEL - 44)
    )  # fmt: skip
    for place, (variant, one) in enumerate(found.items()):
        axes = new_axes(figure, rows, _COLUMNS, place + 1)
        _panel(axes, one, styles[variant].colour)
        axes.set_title(variant, loc="left", weight="bold", pad=8)
        if place % _COLUMNS == 0:
            axes.set_ylabel("GAP")
        if place >= len(found) - _COLUMNS:
            axes.set_xlabel("training step")
    return to_svg(
        figure,
        "averaging",
        "GAP of single snapshots and of averages over ranges of steps, for each variant",
        f"{len(found)} variants. {_told(_gains(report))}",
    )


def averaging_caption(report: RunDocument) -> tuple[str, str]:
    """Returns the title of the picture, by whether averaging helped, and how it is read."""
    gains = _gains(report)
    helped = bool(gains) and min(gains.values()) > 0
    title = "Why averaging helps" if helped else "Averages against single snapshots"
    return title, (
        f"{_told(gains)} Points: single snapshots. Bars: the average of all snapshots of a range of steps; the "
        "thick one is the best. Triangles: what lies below the panel. Each panel has its own axis of GAP."
    )


def _gains(report: RunDocument) -> dict[str, float]:
    """How far the best average of each variant lies above its best single snapshot, where both were measured."""
    found = {
        name: (one.best_average.gap, one.best_single.gap)
        for name, one in report.averaging.items()
        if _measured(one) and one.best_average and one.best_single
    }
    return {name: average - single for name, (average, single) in found.items() if is_number(average, single)}


def _told(gains: dict[str, float]) -> str:
    if not gains:  # A short run has one snapshot a variant.
        return "No average was measured."
    mean = f"its gain over the best single snapshot is {sum(gains.values()) / len(gains):+.4f} in the mean"
    if without := [name for name, gain in gains.items() if gain <= 0]:
        told = f"The best average is better for {len(gains) - len(without)} of {len(gains)} members"
        return f"{told} (not for {', '.join(without)}); {mean}."
    return f"The best average is better for each of {len(gains)} members; {mean}."


def _measured(one: AveragingReport | None) -> AveragingReport | None:
    """A variant's candidates whose GAP is a number; None where there is none, or the best one is not among them."""
    if not one or not is_number(one.best.gap):
        return None
    candidates = tuple(candidate for candidate in one.candidates if is_number(candidate.gap))
    return one.model_copy(update={"candidates": candidates}) if candidates else None


def _panel(axes: Any, one: AveragingReport, colour: str) -> None:
    singles = [candidate for candidate in one.candidates if candidate.kind == "single"]
    averages = [candidate for candidate in one.candidates if candidate.kind == "average"]
    axes.plot(
        [candidate.last_step for candidate in singles],
        [candidate.gap for candidate in singles],
        marker="o",
        ms=4,
        lw=1,
        color=MUTED,
    )
    for candidate in averages:
        best = candidate == one.best
        axes.plot(
            [candidate.first_step, candidate.last_step],
            [candidate.gap] * 2,
            color=colour,
            lw=4 if best else 2,
            alpha=1 if best else 0.55,
            solid_capstyle="butt",
            zorder=4 if best else 3,
        )
    best = one.best
    if best.kind == "single":
        axes.plot(best.last_step, best.gap, marker="o", ms=7, color=colour, ls="none", zorder=4)
    axes.margins(x=0.04)
    # From the range that was best on: the beginning of the training would flatten what matters.
    shown = [candidate.gap for candidate in one.candidates if candidate.last_step >= best.first_step]
    room = max(max(shown) - min(shown), 1e-4)
    low = min(shown) - 0.15 * room
    axes.set_ylim(low, max(shown) + 0.35 * room)
    for candidates, ink in ((singles, MUTED), (averages, colour)):
        below = [candidate.last_step for candidate in candidates if candidate.gap < low]
        axes.plot(below, [low] * len(below), marker="^", ms=4, ls="none", color=ink, clip_on=False)
    axes.annotate(
        f"{best.gap:.4f}",
        ((best.first_step + best.last_step) / 2, best.gap),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=SMALL,
        color=INK,
        weight="bold",
    )
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_formatter("{x:.3f}")
