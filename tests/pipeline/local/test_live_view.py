"""What a person sees of a run: a live view on a terminal, lines elsewhere, all of it with -v."""

import io
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.local.live_view import LiveView, can_show, clock
from pipeline.local.node_progress import NodeStart, NodeTime
from trainer.training.progress import TrainingProgress


def training(**changes: object) -> TrainingProgress:
    values = {"variant": "K2-H4", "step": 50, "steps": 200, "videos_per_second": 812.4, "seconds_left": 61.0,
              "gap": None, "logs": ""}  # fmt: skip
    return TrainingProgress(**{**values, **changes})


def drawn(view: LiveView, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(view.render())
    return console.file.getvalue()


def tell(view: LiveView, text: str, progress: object = None, level: int = logging.INFO) -> None:
    record = logging.LogRecord("yt8m.x", level, "", 0, text, None, None)
    if progress is not None:
        record.progress = progress
    view.emit(record)


def test_the_view_has_node_step_speed_time_left_and_gap() -> None:
    view = LiveView()
    assert drawn(view).strip() == "starting"
    tell(view, "", NodeStart("Trainer-K2-H4", 5, 19))
    assert drawn(view).split() == ["[", "5/19]", "Trainer-K2-H4", "0:00:00"]
    tell(view, "", training())
    first, second = drawn(view).splitlines()
    assert "Trainer-K2-H4" in first
    assert "step 50 of 200  812 videos/s  0:01:01 left" in second
    assert "GAP" not in second


def test_an_evaluation_keeps_the_speed_and_the_next_node_keeps_nothing() -> None:
    view = LiveView()
    tell(view, "", NodeStart("Trainer-K2-H4", 5, 19))
    tell(view, "", training())
    tell(view, "", training(step=60, videos_per_second=None, seconds_left=None, gap=0.71234))
    assert "step 60 of 200  812 videos/s  0:01:01 left  GAP 0.7123" in drawn(view)
    tell(view, "12 ranges of 40")
    assert "12 ranges of 40" in drawn(view)
    tell(view, "", NodeStart("Pusher", 6, 19))
    assert drawn(view).split() == ["[", "6/19]", "Pusher", "0:00:00"]


def test_whispers_of_a_training_are_shown_and_others_are_not() -> None:
    view = LiveView()
    tell(view, "", NodeStart("Trainer-K2-H4", 5, 19))
    tell(view, "a whisper", level=logging.DEBUG)
    tell(view, "", training(step=0, videos_per_second=None, seconds_left=None), level=logging.DEBUG)
    assert "whisper" not in drawn(view)
    assert "step 0 of 200" in drawn(view)
    tell(view, "", training(step=3), level=logging.DEBUG)
    assert "step 3 of 200  812 videos/s  0:01:01 left" in drawn(view)


def test_a_long_text_takes_one_line() -> None:
    view = LiveView()
    tell(view, "", NodeStart("Pusher", 6, 19))
    tell(view, "words " * 100)
    assert len(drawn(view, width=60).splitlines()) == 2


def test_pipes_and_dumb_terminals_get_lines(monkeypatch) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setenv("TERM", "xterm")
        assert can_show(terminal)
        monkeypatch.setenv("TERM", "dumb")
        assert not can_show(terminal)
        assert not can_show(io.StringIO())
    os.close(master)


def test_clock() -> None:
    assert [clock(seconds) for seconds in (0, 59.6, 3600, 90061)] == [
        "0:00:00",
        "0:01:00",
        "1:00:00",
        "25:01:01",
    ]


# On a real terminal, and not ----------------------------------------------------------------------------------------

SCRIPT = """
import logging, os, sys
from pipeline.local.captured_output import captured_output
from pipeline.cli import guard
from pipeline.local.node_progress import NodeStart, NodeTime
guard.prepare_logging()
verbose = sys.argv[2:] == ['-v']
if verbose:
    guard.be_verbose()
logger = logging.getLogger('yt8m.run')
with captured_output(sys.argv[1], verbose):
    logger.info('starts', extra={'progress': NodeStart('Trainer-K2-H4', 1, 2)})
    logging.getLogger('library').warning('python chatter')
    os.write(2, b'native chatter\\n')
    os.system('echo chatter of a child')
    print('printed chatter')
    logger.info('something said')
    logger.debug('a whisper')
    logger.warning('a warning')
    logger.info('is done', extra={'progress': NodeTime('Trainer-K2-H4', 1.0, False)})
logger.info('after')
print('the answer')
"""
CHATTER = ("python chatter", "native chatter", "chatter of a child", "printed chatter")


def run(log: Path, *arguments: str, stderr: int) -> subprocess.CompletedProcess[str]:
    log.touch()
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(log), *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=True,
        timeout=120,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )


def on_terminal(log: Path, *arguments: str) -> tuple[str, str]:
    """Standard output, and what a terminal got."""
    master, slave = pty.openpty()
    done = run(log, *arguments, stderr=slave)
    os.close(slave)
    seen = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # the other end is closed, and everything has been read
            break
        seen += part
    os.close(master)
    return done.stdout, seen.decode()


def test_without_a_terminal_there_are_lines_with_the_time(tmp_path) -> None:
    done = run(tmp_path / "log", stderr=subprocess.PIPE)
    assert done.stdout == "the answer\n"
    lines = done.stderr.splitlines()
    assert [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in lines] == [
        "starts", "something said", "a warning", "is done", "after",
    ]  # fmt: skip
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    log = (tmp_path / "log").read_text()
    assert all(text in log for text in (*CHATTER, "something said", "is done"))


def test_on_a_terminal_there_is_one_view_and_the_log_has_it_all(tmp_path) -> None:
    out, seen = on_terminal(tmp_path / "log")
    assert out == "the answer\n"
    assert "[ 1/2] Trainer-K2-H4" in seen
    assert not any(text in seen for text in CHATTER)
    kept = [
        line for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "\n").splitlines() if line
    ]
    stamped = [line.split(" ", 1)[1].rstrip() for line in kept if re.match(r"\d\d:\d\d:\d\d ", line)]
    assert stamped == ["a warning", "is done", "after"]
    assert seen.rfind("\x1b[?25h") > seen.rfind("\x1b[?25l")  # the cursor is back
    log = (tmp_path / "log").read_text()
    assert all(text in log for text in (*CHATTER, "starts", "something said", "a warning", "is done"))
    assert "a whisper" not in seen + log


@pytest.mark.parametrize("terminal", [True, False])
def test_verbose_shows_everything_and_the_log_has_it_once(tmp_path, terminal) -> None:
    if terminal:
        out, seen = on_terminal(tmp_path / "log", "-v")
    else:
        done = run(tmp_path / "log", "-v", stderr=subprocess.PIPE)
        out, seen = done.stdout, done.stderr
    assert out == "the answer\n"
    log = (tmp_path / "log").read_text()
    for text in (*CHATTER, "starts", "something said", "is done"):
        assert (seen.count(text), log.count(text)) == (1, 1), (text, seen, log)


def test_a_node_that_is_done_says_how_long_it_took() -> None:
    from pipeline.local.node_progress import NodeProgress

    logger = logging.getLogger("yt8m.test_live_view")
    records: list[logging.LogRecord] = []
    logger.addFilter(lambda record: bool(records.append(record)))
    logger.setLevel(logging.INFO)
    progress = NodeProgress(2, logger)
    for message in (
        "Component %s is running.",
        "A cached execution %d is used.",
        "Component %s is finished.",
    ):
        arguments = (7,) if "%d" in message else ("Write",)
        progress.emit(logging.LogRecord("absl", logging.INFO, "", 0, message, arguments, None))
    assert [record.getMessage() for record in records] == ["[ 1/2] Write ...", "[ 1/2] Write done: cached"]
    assert records[0].progress == NodeStart("Write", 1, 2)
    assert isinstance(records[1].progress, NodeTime)
