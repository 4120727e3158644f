"""The lines of verbs that go through many videos."""

import logging
from types import SimpleNamespace

import pytest

from pipeline.cli.progress_lines import RejectLines, TimedLines
from trainer.data.records import Reject

LOGGER = logging.getLogger("tests.lines")


def reject(number: int, lost: int = 1) -> Reject:
    return Reject(file="a", offset=number, reason="cut", detail="d", lost_records=lost)


def test_the_first_ten_rejects_are_named_and_all_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    lines = RejectLines(LOGGER, "see elsewhere")
    for number in range(12):
        lines.add(reject(number, lost=2))
    assert lines.count == 24
    assert caplog.messages == [
        *(f"left out: a, byte {number}: cut (d)" for number in range(10)),
        "left out: more; see elsewhere",
    ]


def test_a_line_comes_every_ten_seconds_and_at_the_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 9.9, 10.0, 19.9, 20.0, 20.1])
    monkeypatch.setattr("pipeline.cli.progress_lines.time", SimpleNamespace(monotonic=lambda: next(clock)))
    caplog.set_level(logging.INFO, LOGGER.name)
    lines = TimedLines(LOGGER)
    for text in ("a", "b", "c", "d"):
        lines.say(text)
    lines.say("e", last=True)
    assert caplog.messages == ["b", "d", "e"]
