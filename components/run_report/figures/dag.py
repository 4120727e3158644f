"""The graph of a run: which step waited for which, what became of each, and how long it took."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

from components.run_report.run_facts import RunFacts, RunNode
from components.run_report.units import duration, is_number

_WIDTH, _ACROSS, _DOWN, _EDGE, _HEAD = 100, 14, 8, 6, 22
"""In CSS pixels: the width of a node, the room between columns, between rows and around all, and the height of a
column's heading."""
_HEIGHT, _VARIANT_HEIGHT = 48, 34


def dag(run: RunFacts | None) -> str | None:
    """Draws the nodes in columns by how many stand before them, coloured by state, with lines to those that wait.

    The lines are plain SVG; no library of ours lays out graphs.
    """
    if not run or not run.nodes:
        return None
    boxes = _boxes(run.nodes)
    width = max(box.x for box in boxes.values()) + _WIDTH + _EDGE
    height = max(box.y + box.height for box in boxes.values()) + _EDGE
    states = ", ".join(
        f"{count} {state}" for state, count in Counter(node.state for node in run.nodes).items()
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" class="dag" role="img" '
        f'aria-labelledby="dag-title dag-desc" style="width:{width:g}px;aspect-ratio:{width:g}/{height:g}">',
        '<title id="dag-title">The steps of this run and what each waits for</title>',
        f'<desc id="dag-desc">{len(run.nodes)} steps: {escape(states)}.</desc>',
    ]
    for node in run.nodes:
        for before in node.upstream:
            start, end = boxes[before], boxes[node.id]
            x0, y0, x1, y1 = start.x + _WIDTH, start.middle, end.x, end.middle
            parts.append(
                f'<path class="edge" d="M{x0:g} {y0:g}C{x1 - _ACROSS / 2:g} {y0:g} {x1 - _ACROSS / 2:g} {y1:g} '
                f'{x1:g} {y1:g}"/>'
            )
    headed = set()
    for node in run.nodes:
        box, (kind, variant) = boxes[node.id], _parts(node.id)
        if variant and kind not in headed:
            headed.add(kind)
            parts.append(
                f'<text x="{box.x + _WIDTH / 2:g}" y="{box.y - 8:g}" class="head">{escape(kind)}</text>'
            )
        parts.append(_drawn(node, box))
    return "".join([*parts, "</svg>"])


class _Box(NamedTuple):
    x: float
    y: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def _parts(node: str) -> tuple[str, str]:
    """Kind and variant of a node; no variant for one that there is once."""
    kind, _, variant = node.partition("-")
    return kind, variant


def _drawn(node: RunNode, box: _Box) -> str:
    kind, variant = _parts(node.id)
    state = node.state
    # The colour says done; the time is of more use then.
    note = duration(node.seconds) if state == "done" and is_number(node.seconds) else state
    lines = [variant] if variant else _two_lines(kind)
    top = box.y + (box.height - 13 * len(lines) - 13) / 2 + 10
    texts = [
        f'<text x="{box.x + 8:g}" y="{top + 13 * place:g}" class="{style}">{escape(line)}</text>'
        for place, (line, style) in enumerate([*((line, "name") for line in lines), (note, "note")])
    ]
    return (
        f'<g class="node" data-state={quoteattr(state)}><title>{escape(node.id)}: {escape(state)}</title>'
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{_WIDTH}" height="{box.height:g}" rx="5"/>{"".join(texts)}</g>'
    )


def _two_lines(kind: str) -> list[str]:
    """A name of words that begin with capitals, broken where its lines are most alike.

    >>> _two_lines("YouTube8MExampleGen"), _two_lines("Pusher")
    (['YouTube8M', 'ExampleGen'], ['Pusher'])
    """
    breaks = [match.start() for match in re.finditer(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", kind)]
    if len(kind) <= 12 or not breaks:
        return [kind]
    place = min(breaks, key=lambda place: max(place, len(kind) - place))
    return [kind[:place], kind[place:]]


def _boxes(nodes: Sequence[RunNode]) -> dict[str, _Box]:
    """Where each node stands; a column's nodes are in their order from the top, where a small window shows them."""
    depth: dict[str, int] = {}
    for node in nodes:
        depth[node.id] = 1 + max((depth[before] for before in node.upstream), default=-1)
    # What waits for nothing stands just before the first that waits for it, and not at the far left.
    for node in nodes:
        if not node.upstream:
            after = [depth[other.id] for other in nodes if node.id in other.upstream]
            depth[node.id] = min(after) - 1 if after else 0
    columns: dict[int, dict[str, float]] = {}
    for node in nodes:
        height = _VARIANT_HEIGHT if _parts(node.id)[1] else _HEIGHT
        columns.setdefault(depth[node.id], {})[node.id] = height
    boxes = {}
    for column, found in columns.items():
        y = _EDGE + _HEAD
        for name, height in found.items():
            boxes[name] = _Box(_EDGE + column * (_WIDTH + _ACROSS), y, height)
            y += height + _DOWN
    return boxes
