"""Windows of spans, as TFX's RangeConfig.rolling_range has them."""

from typing import NamedTuple


class SpanWindow(NamedTuple):
    """Spans up to the newest one."""

    first: int
    """The least number of a span."""
    count: int
    """How many numbers up to the newest the window has at most; there need not be a span of each."""

    def begin(self, newest: int) -> int:
        """Returns the least number of a span that is in the window.

        >>> SpanWindow(first=0, count=3).begin(newest=7)
        5
        """
        return max(self.first, newest - self.count + 1)
