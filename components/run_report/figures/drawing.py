"""Drawing the figures of a page, of which one that fails must not take the page with it."""

import logging
from collections.abc import Callable, Mapping

from markupsafe import Markup

_logger = logging.getLogger("yt8m.report")

Draw = Callable[[], str | None]
"""Draws one figure: SVG, or None where there is nothing to draw."""


def draw_all(figures: Mapping[str, Draw]) -> dict[str, Markup | None]:
    """Draws each figure of a page by itself.

    A figure that fails, for whatever reason, becomes a sentence that stands in its place on the page and says what
    went wrong. All other figures are drawn.

    Args:
        figures: What draws each figure, by its name.

    Returns:
        The HTML of each figure by its name; None where there is nothing to draw.
    """
    return {name: _drawn(name, draw) for name, draw in figures.items()}


def _drawn(name: str, draw: Draw) -> Markup | None:
    try:
        svg = draw()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        _logger.warning("the figure %s is left out of the report, it could not be drawn: %s", name, reason)
        text = '<p class="empty">This figure could not be drawn ({}). Its numbers are in the report.json.</p>'
        return Markup(text).format(reason)
    return None if svg is None else Markup(svg)
