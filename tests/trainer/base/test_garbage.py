"""Garbage is collected seldom, and not at a process's end."""

import subprocess
import sys

_SCRIPT = """
import sys
from trainer.base.garbage import collect_less

class Garbage:
    def __init__(self):
        self.itself = self
    def __del__(self):
        sys.stdout.write("x")

collect_less()
for _ in range(int(sys.argv[1])):
    Garbage()
"""


def collected(made: int) -> int:
    command = [sys.executable, "-c", _SCRIPT, str(made)]
    return len(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_nothing_is_collected_at_the_end():
    assert collected(100) == 0


def test_much_garbage_is():
    assert collected(50_000) > 20_000
