"""Where the time of `make demo` goes: work, and what stands around it.

    python -m tests.benchmarks.demo

Work is the time inside the executors, and that of writing the sample, serving and asking. Overhead is the rest of the
time from the start of the process to the end: imports, and what TFX does around an executor (metadata, cache, inputs).
What Beam takes for a pipeline that does nothing, measured here too, is overhead of each step that uses Beam.
"""

import argparse
import contextlib
import os
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from tests.benchmarks.figures import Figure, main


@dataclass
class _Spent:
    """Seconds by what they were spent on; steps without their variant's name."""

    imports: float = 0.0
    work: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    steps: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    beam_steps: set[str] = field(default_factory=set)


def figures(_: argparse.Namespace) -> Iterator[Figure]:
    begin = time.clock_gettime(time.CLOCK_BOOTTIME) - _process_start()
    spent = _Spent()
    started = time.monotonic()
    with _empty_directory(), contextlib.redirect_stdout(sys.stderr):
        _run_demo(spent)
        total = begin + time.monotonic() - started
        beam_start = _beam_start()
    for step, seconds in spent.steps.items():
        beam = beam_start if step in spent.beam_steps else 0
        yield _share(step, seconds, seconds - spent.work[step] + beam)
        spent.work[step] -= beam
    yield _share("the demo, all in all", total, total - sum(spent.work.values()), goal=0.25)
    yield Figure(
        name="of which imports",
        value=spent.imports,
        unit="s",
        ratio=spent.imports / total,
        yardstick="the demo",
    )


def _share(name: str, seconds: float, overhead: float, goal: float | None = None) -> Figure:
    return Figure(
        name=f"overhead of {name}",
        value=overhead,
        unit="s",
        ratio=overhead / seconds,
        yardstick=f"all of it, {seconds:.2f} s",
        goal=goal,
        at="most",
    )


def _run_demo(spent: _Spent) -> None:
    from pipeline import demo

    run_recipe = demo.run_recipe

    def observed(*arguments: Any) -> Any:
        begin = time.monotonic()
        from tfx.orchestration.portable import python_executor_operator as operator

        import pipeline.local.runner  # noqa: F401

        spent.imports = time.monotonic() - begin
        with mock.patch.object(operator, "run_with_executor", _observing(operator.run_with_executor, spent)):
            finished = run_recipe(*arguments)
        for one in finished.times:
            spent.steps[_step(one.node)] += one.seconds
        return finished

    with (
        mock.patch.object(demo, "run_recipe", observed),
        mock.patch.object(demo, "_write_sample", _timed(demo._write_sample, spent, "writing the sample")),
        mock.patch.object(demo, "_ask_server", _timed(demo._ask_server, spent, "serving and asking")),
    ):
        demo.demo()


def _observing(run: Callable[..., Any], spent: _Spent) -> Callable[..., Any]:
    """TFX's call of an executor, timed."""
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor

    def observed(execution: Any, executor: Any) -> Any:
        step = _step(execution.pipeline_node.node_info.id)
        if isinstance(executor, BaseBeamExecutor):
            spent.beam_steps.add(step)
        return _timed(run, spent, step)(execution, executor)

    return observed


def _timed(work: Callable[..., Any], spent: _Spent, name: str) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        begin = time.monotonic()
        try:
            return work(*arguments)
        finally:
            spent.work[name] += time.monotonic() - begin

    return timed


def _step(node: str) -> str:
    """Trainer-K4-H64 and its like count together."""
    return re.sub(r"-K\d+-H\d+$", "", node)


def _beam_start() -> float:
    """Seconds of a Beam pipeline, with the demo's options, that does nothing."""
    import apache_beam as beam

    from pipeline.recipe.loader import load_recipe

    options = beam.options.pipeline_options.PipelineOptions(load_recipe("demo").beam.pipeline_args)
    seconds = []
    for _ in range(3):
        begin = time.monotonic()
        with beam.Pipeline(options=options) as pipeline:
            _ = pipeline | beam.Create([0]) | beam.Reshuffle() | beam.Map(abs)
        seconds.append(time.monotonic() - begin)
    return statistics.median(seconds)


def _process_start() -> float:
    """Seconds from the machine's start to this process's (proc(5), stat)."""
    with open("/proc/self/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _empty_directory() -> Iterator[None]:
    """The demo writes where it is called."""
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        yield


if __name__ == "__main__":
    main(__doc__, figures)
