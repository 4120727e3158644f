"""Numbers as people read them."""

import math
from typing import Any


def duration(seconds: float) -> str:
    """Returns a length of time with the two units that matter.

    >>> [duration(value) for value in (0.04, 7.31, 95, 7384, 200_000)]
    ['0.0 s', '7.3 s', '1 min 35 s', '2 h 03 min', '2 d 07 h']
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = whole // 60
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60:02d} h"


def is_number(*values: Any) -> bool:
    """Whether all the values are finite numbers: not None, not NaN, and not infinite.

    >>> is_number(1, 0.5), is_number(0.5, None), is_number(float("nan"))
    (True, False, False)
    """
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)
