"""Turning Markdown into a part of a page."""

from typing import Any

from markdown_it import MarkdownIt

_DEEPER = 2
"""The page's own headings are of the first two levels."""


def markdown_html(text: str) -> str:
    """Turns Markdown, which may have tables, into HTML. Text in it that looks like HTML is shown as it stands."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("table_open", _scrolling)
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    tokens = parser.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + _DEEPER)}"
    return parser.renderer.render(tokens, parser.options, {})


def _scrolling(*_: Any) -> str:
    return '<div class="scroll" tabindex="0"><table>'
