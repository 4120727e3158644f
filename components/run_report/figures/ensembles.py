"""The best ensembles as stacked bars of their members' sizes under the limit (the paper's Fig. 2)."""

from collections.abc import Mapping

from components.run_report.document import EnsembleSummary, RunDocument
from components.run_report.figures.canvas import FULL, SMALL, margins, new_axes, new_figure, to_svg
from components.run_report.figures.colours import INK, SURFACE, variant_styles
from components.run_report.units import is_number
from trainer.base.units import MIB

SHOWN = 20
_ROW, _GAP_COLUMN = 26, 70
_FAR = 3
"""A limit that is more than this many times as long as the longest bar is written in words."""


def ensembles(report: RunDocument) -> str | None:
    """Draws a bar for each ensemble, the best on top, with a segment for each member: its size, and its weight."""
    sizes = {row.name: row.stored_mib for row in report.members}
    shown = [one for one in report.ensembles if _is_drawable(one, sizes)][:SHOWN]
    limit = report.ensemble.limit_bytes / MIB if report.ensemble else 0
    if not shown or not limit:
        return None
    styles = variant_styles(report)
    height = 64 + _ROW * len(shown)
    figure = new_figure(FULL, height)
    axes = new_axes(figure)
    margins(figure, left=36, right=_GAP_COLUMN + 22, top=28, bottom=36)
    biggest = max(one.mib for one in shown)
    # Small models would be slivers beside a limit that they are far from.
    far = biggest < limit / _FAR
    longest = biggest * 1.25 if far else max(limit, biggest)
    axes.set_xlim(0, longest * 1.005)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    pixels = (FULL - 36 - _GAP_COLUMN - 22) / (longest * 1.005)
    for place, one in enumerate(shown):
        start = 0.0
        parts = zip(one.members, one.names, one.weights, strict=True)
        for variant, name, weight in sorted(parts, key=lambda part: -part[2]):
            size, style = sizes[name], styles[variant]
            axes.barh(place, size, left=start, height=0.76, color=style.colour, ec=SURFACE, lw=1.5)
            text = _fitting(
                size * pixels - 8,
                (
                    f"{name} \N{MULTIPLICATION SIGN} {weight:.2f}",
                    f"{variant} \N{MULTIPLICATION SIGN} {weight:.2f}",
                    variant,
                    variant.split("-")[0],
                ),
            )
            axes.text(
                start + size / 2, place, text, ha="center", va="center_baseline", fontsize=SMALL, color=SURFACE,
            )  # fmt: skip
            start += size
        axes.text(
            1.012, place, f"{one.gap:.4f}", transform=axes.get_yaxis_transform(), va="center_baseline",
            fontsize=SMALL + 1, color=INK, weight="bold" if place == 0 else "normal",
        )  # fmt: skip
    axes.text(1.012, -0.75, "GAP", transform=axes.get_yaxis_transform(), fontsize=SMALL, color=INK)
    told = f"limit {limit:g} MiB"
    if far:
        told += f", {limit / biggest:.0f} times as long as the longest bar"
    else:
        axes.axvline(limit, color=INK, lw=1.4, ls=(0, (4, 2)))
    axes.text(longest * 0.997, -0.75, told, ha="right", fontsize=SMALL, color=INK)
    axes.set_yticks(range(len(shown)), [str(place + 1) for place in range(len(shown))])
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("size as stored (MiB)")
    best = shown[0]
    return to_svg(
        figure,
        "ensembles",
        "Size, members and GAP of the best ensembles",
        f"The best of {len(shown)} is {' + '.join(best.names)}: {best.mib:.1f} of {limit:g} MiB, "
        f"GAP {best.gap:.4f}.",
    )


def _is_drawable(one: EnsembleSummary, sizes: Mapping[str, float | None]) -> bool:
    """Whether an ensemble and its members have sizes, and all its numbers are finite."""
    members = [sizes.get(name) for name in one.names]
    return is_number(one.mib, one.gap, *one.weights, *members) and one.mib > 0


def _fitting(width: float, texts: tuple[str, ...]) -> str:
    """The longest of the texts that fits into a width in pixels; empty where none does."""
    return next((text for text in texts if len(text) * SMALL * 0.6 <= width), "")
