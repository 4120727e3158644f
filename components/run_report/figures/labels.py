"""Labels beside the points and lines that they name, placed so that they do not cover each other."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from components.run_report.figures.canvas import SMALL
from components.run_report.figures.colours import INK, MUTED, SURFACE

_CHARACTER = 0.58
"""Mean width of a character, in font sizes."""


def spread(wanted: Sequence[float], least_gap: float, low: float, high: float) -> list[float]:
    """Moves positions apart: they stay in their order, near the wanted ones, and are at least a gap apart.

    Args:
        wanted: Where the labels would stand best.
        least_gap: Least distance between two; where all do not fit with it, it becomes smaller.
        low: Least position.
        high: Largest position.

    >>> spread([5, 5, 9], 2, 0, 10)
    [4.0, 6.0, 9.0]
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    least_gap = min(least_gap, (high - low) / max(1, len(wanted) - 1)) if len(wanted) > 1 else least_gap
    # Groups of neighbours that touch; each settles around the mean of what its members want.
    groups: list[list[int]] = []

    def start(group: list[int]) -> float:
        mean = sum(wanted[index] for index in group) / len(group)
        half = least_gap * (len(group) - 1) / 2
        return min(max(mean - half, low), high - 2 * half)

    for index in order:
        groups.append([index])
        while len(groups) > 1:
            before, last = groups[-2], groups[-1]
            if start(before) + least_gap * len(before) <= start(last) + 1e-9:
                break
            groups[-2:] = [before + last]
    places = [0.0] * len(wanted)
    for group in groups:
        for offset, index in enumerate(group):
            places[index] = float(start(group) + least_gap * offset)
    return places


def label_line_ends(
    axes: Axes,
    ends: Mapping[str, tuple[float, float]],
    colours: Mapping[str, str],
    notes: Mapping[Any, str] | None = None,
) -> None:
    """Writes the names of lines at the right of the axes, at the height of the lines' ends, with a thread to each.

    Args:
        axes: The axes, with all that they show and with their place in the figure.
        ends: The last point of each line in the axes' data, by the line's name.
        colours: The colour of each thread, by the line's name.
        notes: Texts that are written in place of the names, by the line's name.
    """
    box, pixels = _in_pixels(axes, ends)
    places = spread([y for _, y in pixels.values()], SMALL + 2, box.y0, box.y1)
    for (name, (x, y)), place in zip(pixels.items(), places, strict=True):
        axes.annotate(
            (notes or {}).get(name, name),
            (x, y),
            xycoords="figure pixels",
            xytext=(box.x1 + 18, place),
            textcoords="figure pixels",
            va="center",
            color=INK,
            fontsize=SMALL,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-", "color": colours[name], "lw": 0.8, "shrinkA": 3, "shrinkB": 2,
                "relpos": (0, 0.5),
            },
        )  # fmt: skip


def label_points(
    axes: Axes, points: Mapping[Any, tuple[float, float]], notes: Mapping[Any, str] | None = None
) -> None:
    """Writes names beside points, each on the first side where it covers no other name and no point.

    Args:
        axes: The axes, with all that they show and with their place in the figure.
        points: The points in the axes' data, by name.
        notes: Texts that are written in place of the names, by name.
    """
    box, pixels = _in_pixels(axes, points)
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in pixels.values()]
    # From the right, where the crowd is usually thinner.
    for name in sorted(pixels, key=lambda one: -pixels[one][0]):
        x, y = pixels[name]
        text = str((notes or {}).get(name, name))
        width, height = _CHARACTER * SMALL * len(text), SMALL + 1
        for dx, dy in _SIDES:
            left = x + dx if dx > 0 else x + dx - width if dx < 0 else x - width / 2
            place = (left, y + dy - height / 2, left + width, y + dy + height / 2)
            inside = (
                place[0] >= box.x0 - 2
                and place[2] <= box.x1 + 60
                and box.y0 <= place[1]
                and place[3] <= box.y1
            )
            if inside and not any(_overlap(place, other) for other in taken):
                break
        else:
            left, dy = x + 8, 0
            place = (left, y - height / 2, left + width, y + height / 2)
        taken.append(place)
        far = abs(dy) > 18
        axes.annotate(
            text,
            (x, y),
            xycoords="figure pixels",
            xytext=(place[0], y + dy),
            textcoords="figure pixels",
            va="center",
            color=INK,
            fontsize=SMALL,
            annotation_clip=False,
            bbox={"facecolor": SURFACE, "edgecolor": "none", "pad": 0.5},
            arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.6, "shrinkA": 0, "shrinkB": 5}
            if far
            else None,
        )


_SIDES = [
    *((8, -9), (-8, 9), (8, 0), (-8, 0), (8, 9), (-8, -9), (0, 13), (0, -13)),
    *((side * 10, distance) for distance in (24, -24, 38, -38, 52, -52, 66, -66) for side in (1, -1)),
]
"""Distances in pixels from a point to its name, the best first."""


def _in_pixels(axes: Axes, points: Mapping[Any, tuple[float, float]]) -> tuple[Any, dict[Any, Any]]:
    """The axes' box and the points, in pixels of the figure."""
    axes.get_xlim(), axes.get_ylim()  # matplotlib finds the limits only when asked for them
    return axes.get_window_extent(), {name: axes.transData.transform(point) for name, point in points.items()}


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
