"""Size against GAP of the members, which is the paper's argument in one picture."""

from collections.abc import Sequence

from components.run_report.document import MemberRow, RunDocument
from components.run_report.figures.canvas import FULL, margins, new_axes, new_figure, to_svg
from components.run_report.figures.colours import MUTED, SURFACE, variant_styles
from components.run_report.figures.labels import label_points
from components.run_report.units import is_number


def size_gap(report: RunDocument) -> str | None:
    """Draws the members as points, hollow where they are inferior, and the Pareto front: the best GAP for each size."""
    members = [row for row in report.members if is_number(row.stored_mib, row.gap)]
    if not members:
        return None
    styles = variant_styles(report)
    figure = new_figure(FULL, 420)
    axes = new_axes(figure)
    margins(figure, left=64, right=96, top=16, bottom=48)
    front = pareto_front(members)
    axes.plot(
        [row.stored_mib for row in front],
        [row.gap for row in front],
        drawstyle="steps-post",
        color=MUTED,
        lw=1.2,
        ls=(0, (4, 3)),
        zorder=1,
    )
    for row in members:
        style, inferior = styles[row.variant], row.inferior_to
        axes.plot(
            row.stored_mib,
            row.gap,
            marker=style.marker,
            ms=8,
            mec=style.colour,
            mew=1.8,
            mfc=SURFACE if inferior else style.colour,
            ls="none",
            zorder=3,
        )
    axes.set_xlabel("size as stored (MiB)")
    axes.set_ylabel("GAP on the eval split")
    axes.margins(x=0.04, y=0.1)
    label_points(
        axes,
        {row.name: (row.stored_mib, row.gap) for row in members},
        {row.name: f"{row.name} (inferior)" for row in members if row.inferior_to},
    )
    inferior = [row.name for row in members if row.inferior_to]
    return to_svg(
        figure,
        "size-gap",
        "Size against GAP of all members",
        f"{len(members)} members from {_place(front[0])} to {_place(front[-1])} along the Pareto front of "
        f"{len(front)}. Inferior: {', '.join(inferior) or 'none'}.",
    )


def pareto_front(members: Sequence[MemberRow]) -> list[MemberRow]:
    """Picks the members that are better than every smaller one, and orders them by size."""
    front: list[MemberRow] = []
    for row in sorted(members, key=lambda row: (row.stored_mib, -row.gap)):
        if not front or row.gap > front[-1].gap:
            front.append(row)
    return front


def _place(row: MemberRow) -> str:
    return f"{row.name} ({row.stored_mib:.0f} MiB, {row.gap:.4f})"
