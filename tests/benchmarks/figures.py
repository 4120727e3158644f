"""What a benchmark says: figures, each a ratio against something measured in the same run.

Absolute speeds do not carry from machine to machine; ratios mostly do. A benchmark is a module of this package with
a function `figures(arguments) -> Iterator[Figure]`; `python -m tests.benchmarks.NAME` prints its figures, with
`--json` as one JSON document, which `python -m tests.benchmarks` (`make bench`) gathers from all of them.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterable
from typing import Literal

from trainer.base.errors import UserError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """One measurement.

    Attributes:
        name: What was measured, with its sizes.
        value: Median of the runs, in `unit`.
        unit: `videos/s`, `ms`, `MiB` ...
        ratio: Of the value to the yardstick's, or of the yardstick's to it: whichever the goal speaks of.
        yardstick: What the ratio is against, with its own figure; measured in the same run.
        goal: The bound on the ratio, or on the value where there is no ratio; None for a figure that is only told.
        at: Whether the goal is to be reached from above or from below.
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None
    yardstick: str = ""
    goal: float | None = None
    at: Literal["least", "most"] = "least"

    @property
    def reached(self) -> bool | None:
        """Whether the goal was reached; None without one."""
        if self.goal is None:
            return None
        measured = self.value if self.ratio is None else self.ratio
        return measured >= self.goal if self.at == "least" else measured <= self.goal


def markdown(figures: Iterable[Figure]) -> str:
    """A table, a line a figure."""
    lines = ["| what | figure | ratio | against | goal | |", "|---|---:|---:|---|---|---|"]
    for figure in figures:
        goal = "" if figure.goal is None else f"at {figure.at} {figure.goal:g}"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.3f}"
        value = f"{figure.value:,.0f}" if abs(figure.value) >= 1000 else f"{figure.value:.4g}"
        verdict = {None: "", True: "reached", False: "NOT reached"}[figure.reached]
        lines.append(
            f"| {figure.name} | {value} {figure.unit} | {ratio} | {figure.yardstick} | {goal} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def main(
    description: str,
    figures: Callable[[argparse.Namespace], Iterable[Figure]],
    options: Callable[[argparse.ArgumentParser], object] = lambda _: None,
) -> None:
    """The command line of one benchmark: `options` adds its own to `--json`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON document in place of the table")
    options(parser)
    try:
        arguments = parser.parse_args()
        measured = list(figures(arguments))
    except UserError as error:
        parser.error(str(error))
    if arguments.json:
        json.dump([dataclasses.asdict(figure) for figure in measured], sys.stdout, indent=1)
    else:
        sys.stdout.write(markdown(measured))
