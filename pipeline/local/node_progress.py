"""Which node a LocalDagRunner is at, how long each took, and which came from the cache."""

import logging
import time
from dataclasses import dataclass

_STARTED = "Component %s is running."
_FINISHED = "Component %s is finished."
_CACHED = "A cached execution %d is used."
_DONE_BEFORE = (
    "This execution has already succeeded. Will exit gracefully to avoid overwriting output artifacts."
)


@dataclass(frozen=True)
class NodeStart:
    """A node begins: the `number`th of `total`. Log records carry it as their attribute `progress`."""

    node: str
    number: int
    total: int


@dataclass(frozen=True)
class NodeTime:
    """One node of a run: how long it took, and whether it ran at all. Log records carry it likewise."""

    node: str
    seconds: float
    cached: bool


class NodeProgress(logging.Handler):
    """Observes the log records with which TFX announces each node.

    LocalDagRunner offers no callback, but logs a fixed message (told by its format, not its text) when a node
    starts, when its result comes from the cache, and when it ends.

    Args:
        total: Nodes of the pipeline.
        logger: Receives a line when a node begins and one when it is done.
    """

    def __init__(self, total: int, logger: logging.Logger) -> None:
        super().__init__(logging.INFO)
        self._total = total
        self._logger = logger
        self._started = 0.0
        self._cached = False
        self.current: str | None = None
        self.times: list[NodeTime] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Takes one record of absl's logger."""
        if record.msg == _STARTED:
            (self.current,) = record.args
            self._started, self._cached = time.monotonic(), False
            start = NodeStart(str(self.current), len(self.times) + 1, self._total)
            text = f"[{start.number:>2}/{self._total}] {start.node} ..."
            self._logger.info("%s", text, extra={"progress": start})
        elif record.msg in (_CACHED, _DONE_BEFORE):
            self._cached = True
        elif record.msg == _FINISHED:
            done = NodeTime(str(self.current), time.monotonic() - self._started, self._cached)
            self.times.append(done)
            self.current = None
            spent = "cached" if done.cached else f"{done.seconds:.1f} s"
            text = f"[{len(self.times):>2}/{self._total}] {done.node} done: {spent}"
            self._logger.info("%s", text, extra={"progress": done})
