"""How long the command line takes to start: commands that need neither TFX nor a model.

    python -m tests.benchmarks.start_up

Each runs to its end, in turns with the yardstick, `python -c pass`. What the others wait for is told beside them: the
imports of TensorFlow, and those of `yt8m run` (TFX).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from pipeline.cli.main import VERBS
from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main

_YT8M = [sys.executable, "-m", "pipeline.cli.main"]
_PYTHON = [sys.executable, "-c"]
_LIKE_A_VERB = "from trainer.base.garbage import collect_less; collect_less(); "


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as place:
        os.mkdir(f"{place}/versions")
        videos = ["--train-videos", "2", "--validate-videos", "2", "--shards", "1"]
        commands: dict[str, tuple[list[str], float | None]] = {
            "yt8m --help": ([*_YT8M, "--help"], 1),
            "yt8m sizes": ([*_YT8M, "sizes"], 1),
            **{f"yt8m {verb} --help": ([*_YT8M, verb, "--help"], 1) for verb in VERBS if verb != "sizes"},
            "yt8m data sample, 4 videos": ([*_YT8M, "data", "sample", f"{place}/sample", *videos], 3),
            "yt8m data check, 4 videos": ([*_YT8M, "data", "check", f"{place}/sample/*"], 3),
            "yt8m models list": ([*_YT8M, "models", "list", f"{place}/versions"], 3),
            "import tensorflow": ([*_PYTHON, "import tensorflow"], None),
            "the same with little garbage collection": ([*_PYTHON, f"{_LIKE_A_VERB}import tensorflow"], None),
            "the imports of yt8m run": ([*_PYTHON, f"{_LIKE_A_VERB}import pipeline.local.runner"], None),
        }
        for name, (command, goal) in commands.items():
            # Those without a goal take long and are for comparison alone.
            bare, seconds = _medians([[*_PYTHON, "pass"], command], arguments.rounds if goal else 1)
            yield Figure(
                name=name,
                value=seconds,
                unit="s",
                yardstick=f"{seconds / bare:.1f} x python -c pass, {bare:.3f} s",
                goal=goal,
                at="most",
            )


def _medians(commands: Sequence[Sequence[str]], rounds: int) -> list[float]:
    """Seconds of each command, run in turns; not counting a first time, which reads its files from the disk."""
    seconds: list[list[float]] = [[] for _ in commands]
    for turn in range(rounds + 1):
        for each, command in zip(seconds, commands, strict=True):
            begin = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            if turn:
                each.append(time.perf_counter() - begin)
    return [statistics.median(each) for each in seconds]


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=whole(), default=2)


if __name__ == "__main__":
    main(__doc__, figures, _options)
