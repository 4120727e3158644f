"""Types of arguments by which argparse refuses, in one line and with exit code 2, numbers that make no sense."""

import argparse
import math
from collections.abc import Callable


def whole(least: int = 1, most: float = math.inf, times: int = 1) -> Callable[[str], int]:
    """Makes the type of a whole number.

    Args:
        least: The smallest that is taken.
        most: The largest that is taken.
        times: What it is a multiple of.

    >>> whole(times=50)("100")
    100
    """

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if least <= value <= most and value % times == 0:
            return value
        bounds = f"of at least {least}" if most == math.inf else f"from {least} to {most}"
        multiple = f" that is a multiple of {times}" if times > 1 else ""
        raise argparse.ArgumentTypeError(f"takes a whole number {bounds}{multiple}. Received: {text}")

    return number


def real(least: float, most: float = math.inf) -> Callable[[str], float]:
    """Makes the type of a finite number with a smallest and a largest value that are taken."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if least <= value <= most and value < math.inf:
            return value
        bounds = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise argparse.ArgumentTypeError(f"takes a number {bounds}. Received: {text}")

    return number
