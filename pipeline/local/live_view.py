"""Shows one live view of a run at the bottom of a terminal."""

import dataclasses
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.local.node_progress import NodeStart, NodeTime
from trainer.training.progress import TrainingProgress

_BAR_WIDTH = 30
_REFRESHES_PER_SECOND = 2


class LiveView(logging.Handler):
    """Shows the running node and its time; of a Trainer also the step, videos/s, the time left and the GAP.

    Nodes that are done and warnings scroll up above the view. Any other line of a node is shown for a while. The view
    takes log records that carry a NodeStart, a NodeTime or a TrainingProgress as their attribute `progress`; the
    latter also of the level DEBUG, at which a training tells how it goes between two lines of the log.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._console: Console | None = None
        self._node: NodeStart | None = None
        self._began = time.monotonic()
        self._training: TrainingProgress | None = None
        self._said = ""

    @contextmanager
    def shown_on(self, terminal: TextIO) -> Iterator[None]:
        """Keeps the view up to date on a terminal, and removes it at the end."""
        self._console = Console(file=terminal)
        with Live(
            get_renderable=self.render,
            console=self._console,
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            yield

    def emit(self, record: logging.LogRecord) -> None:
        """Takes one record of the logger `yt8m`."""
        progress = getattr(record, "progress", None)
        if isinstance(progress, NodeStart):
            self._node, self._began, self._training, self._said = progress, time.monotonic(), None, ""
        elif isinstance(progress, TrainingProgress):
            self._training = _joined(self._training, progress)
        elif record.levelno < logging.INFO:
            return
        elif isinstance(progress, NodeTime) or record.levelno >= logging.WARNING or self._node is None:
            self._print(record)
        else:
            self._said = record.getMessage()

    def render(self) -> RenderableType:
        """Returns the view at this moment."""
        if self._node is None:
            return Text("starting")
        elapsed = clock(time.monotonic() - self._began)
        lines: list[RenderableType] = [
            Text(f"[{self._node.number:>2}/{self._node.total}] {self._node.node}  {elapsed}")
        ]
        if self._training:
            lines.append(_training_line(self._training))
        if self._said:
            lines.append(Text(f"        {self._said}", overflow="ellipsis", no_wrap=True))
        return Group(*lines)

    def _print(self, record: logging.LogRecord) -> None:
        if self._console:
            self._console.print(Text(self.format(record)), soft_wrap=True)


def can_show(terminal: TextIO) -> bool:
    """Returns whether a stream is a terminal that can redraw lines."""
    console = Console(file=terminal)
    return console.is_terminal and not console.is_dumb_terminal


def clock(seconds: float) -> str:
    """Formats seconds as hours, minutes and seconds.

    >>> clock(3725.4)
    '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _joined(before: TrainingProgress | None, now: TrainingProgress) -> TrainingProgress:
    """Returns the newest progress; an evaluation measures no speed, so the last speed is kept."""
    if now.videos_per_second is not None or before is None or before.variant != now.variant:
        return now
    return dataclasses.replace(
        now, videos_per_second=before.videos_per_second, seconds_left=before.seconds_left
    )


def _training_line(training: TrainingProgress) -> RenderableType:
    facts = [f"step {training.step:,} of {training.steps:,}"]
    if training.videos_per_second is not None:
        facts.append(f"{training.videos_per_second:,.0f} videos/s")
    if training.seconds_left is not None:
        facts.append(f"{clock(training.seconds_left)} left")
    if training.gap is not None:
        facts.append(f"GAP {training.gap:.4f}")
    line = Table.grid(padding=(0, 2))
    line.add_row(
        Text("      "),
        ProgressBar(total=training.steps, completed=training.step, width=_BAR_WIDTH),
        Text("  ".join(facts)),
    )
    return line
