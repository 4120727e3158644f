"""Colours of pictures: stand-ins that matplotlib can draw with, and the page's variables that take their places."""

from dataclasses import dataclass
from typing import Any

from components.run_report.document import RunDocument

INK, MUTED, LINE, SURFACE, ACCENT = "#0a0a01", "#0a0a02", "#0a0a03", "#0a0a04", "#0a0a05"
"""Text, secondary text, grid lines, the page's ground, and what a picture is about."""
SERIES = tuple(f"#0b0b{index:02x}" for index in range(8))
"""Hues of Okabe and Ito (2008), which people of any colour vision tell apart, darker or lighter by the ground."""

VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    SURFACE: "var(--surface)",
    ACCENT: "var(--accent)",
    **{colour: f"var(--series-{index})" for index, colour in enumerate(SERIES)},
}

_MARKERS = ("o", "s", "^", "D")
_DASHES = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))


@dataclass(frozen=True)
class SeriesStyle:
    """How one variant, or run, looks in every picture.

    Attributes:
        colour: Colour of points and lines, one of SERIES.
        marker: Shape of points, as matplotlib names it.
        dashes: Dashes of lines, as matplotlib names them.
    """

    colour: str
    marker: str
    dashes: Any


def series_styles(names: list[str]) -> dict[str, SeriesStyle]:
    """Gives each name a style. The ninth has the colour of the first with another marker and dash, and so on."""
    styles = {}
    for index, name in enumerate(names):
        turn, colour = divmod(index, len(SERIES))
        turn %= len(_MARKERS)
        styles[name] = SeriesStyle(SERIES[colour], _MARKERS[turn], _DASHES[turn])
    return styles


def variant_names(report: RunDocument) -> list[str]:
    """Returns the variants in the order in which they get colours: members by size, then those only trained."""
    # A colour for all forms of a variant.
    members = list(dict.fromkeys(row.variant for row in report.members))
    return members + [variant for variant in report.training if variant not in members]


def variant_styles(report: RunDocument) -> dict[str, SeriesStyle]:
    """Returns a style for each variant of a run."""
    return series_styles(variant_names(report))
