"""Python's collection of cyclic garbage, for processes that import much."""

import atexit
import gc

_THRESHOLD = 10_000
"""New objects between two collections; Python's own 700 is for programs of a few thousand objects."""


def collect_less() -> None:
    """Lets this process collect garbage seldom, and not at its end.

    TFX makes 600,000 objects while it is imported, hardly any of them garbage. Looking through them again and again is
    a quarter of the import's time, and doing so at the interpreter's end takes 1.5 s; before that they are frozen
    (https://docs.python.org/3/library/gc.html#gc.freeze).
    """
    gc.set_threshold(_THRESHOLD)
    # The first that is registered runs last.
    atexit.register(gc.freeze)
