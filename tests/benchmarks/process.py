"""What this process takes of the machine while a block runs, as Linux counts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Count:
    """Filled when the block ends."""

    bytes: int = 0


@contextmanager
def peak_memory() -> Iterator[Count]:
    """By how much the resident memory rose at most, above what it was at the start of the block."""
    # Lets the peak start anew (proc(5), clear_refs).
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    before = 1024 * _number("/proc/self/status", "VmRSS")
    count = Count()
    yield count
    count.bytes = max(0, most_memory() - before)


def most_memory() -> int:
    """Bytes of the most resident memory that this process has had."""
    return 1024 * _number("/proc/self/status", "VmHWM")


@contextmanager
def bytes_read() -> Iterator[Count]:
    """Bytes that the process asked the system for, from the disk or from the page cache."""
    before = _number("/proc/self/io", "rchar")
    count = Count()
    yield count
    count.bytes = _number("/proc/self/io", "rchar") - before


def _number(path: str, key: str) -> int:
    with open(path, encoding="ascii", errors="replace") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(f"{key}:"))
