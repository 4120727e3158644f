"""What the tests of pages share: what holds of every page, and reports to make one of."""

import json
import re
from html.parser import HTMLParser

from components.run_report.comparison.document import Comparison
from components.run_report.document import RunDocument
from tests.components.report_samples import big_report, run_document


class Outline(HTMLParser):
    """What a page refers to, and which tags are left open."""

    _VOID = frozenset({"meta", "link", "br", "hr", "img", "path", "rect", "use"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(page)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            if name in ("href", "src", "xlink:href", "action", "data"):
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)
        if tag not in self._VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self._VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        if tag not in self._VOID:
            assert self._open.pop() == tag


def self_contained(page: str) -> Outline:
    """Checks what is true of every page."""
    outline = Outline(page)
    assert len(page.encode()) < 5_000_000
    assert "script" not in outline.tags
    assert all(address.startswith(("#", "data:")) for address in outline.addresses)
    assert not re.search(r"@import|url\((?!#)", page)
    assert len(outline.ids) == len(set(outline.ids))
    assert {address[1:] for address in outline.addresses if address.startswith("#")} <= set(outline.ids)
    assert page.startswith("<!doctype html>")
    return outline


def big_report_of_a_file() -> RunDocument:
    """Returns the big report as it comes out of a file."""
    return run_document(**json.loads(json.dumps(big_report().document(), allow_nan=False)))


def without_curves(comparison: Comparison) -> Comparison:
    """Without what takes a moment to draw."""
    return comparison.model_copy(update={"curves": {}})
