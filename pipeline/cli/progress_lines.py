"""Lines on standard error while a verb goes through many videos: progress, and records that are left out."""

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.data.records import Reject

_NAMED_REJECTS = 10
_SECONDS_BETWEEN_LINES = 10.0


class TimedLines:
    """Logs a line at most every ten seconds, for logs and for users without a terminal.

    Args:
        logger: The logger that receives the lines.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said = time.monotonic()

    def say(self, text: str, last: bool = False) -> None:
        """Logs the text if it is time for a line, or if it is the last one."""
        now = time.monotonic()
        if last or now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            self._logger.info("%s", text)


class RejectLines:
    """Logs the first ten records that are left out, and counts all of them.

    Args:
        logger: The logger that receives the lines.
        others: Says after the first ten where the others are named.

    Attributes:
        count: The number of records that are lost so far.
        reasons: How many of them were lost for each reason.
    """

    def __init__(self, logger: logging.Logger, others: str) -> None:
        self.count = 0
        self.reasons: Counter[str] = Counter()
        self._logger = logger
        self._others = others
        self._named = 0

    def add(self, reject: "Reject") -> None:
        """Takes in one record, or what is lost of a file."""
        self.count += reject.lost_records
        self.reasons[reject.reason] += reject.lost_records
        self._named += 1
        if self._named <= _NAMED_REJECTS:
            place = f"{reject.file}, byte {reject.offset}"
            self._logger.warning("left out: %s: %s (%s)", place, reject.reason, reject.detail)
        elif self._named == _NAMED_REJECTS + 1:
            self._logger.warning("left out: more; %s", self._others)
