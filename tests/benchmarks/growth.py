"""How time and memory grow with the data: ExampleGen, training, evaluation and assembling on 1, 4 and 16 times as much.

    python -m tests.benchmarks.growth      # or make growth

Each is measured in a process of its own: seconds of the work, and the most memory that the process ever held,
libraries included. Writes the table `build/growth.md` and the plot `docs/growth.svg`. Linear and flat mean: from 4 to
16 times the data the processor's time, which other work on the machine hardly touches, grows by no more than 4 x 1.15,
and the memory by no more than 15 %.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.argument_types import whole
from tests.benchmarks.machine import in_words, machine
from tests.benchmarks.process import most_memory
from trainer.base.units import MIB
from trainer.data.encoding import sequence_example
from trainer.data.record_parts import parse_parts
from trainer.data.sample import write_sample
from trainer.data.tfrecord import read_records, write_tfrecords
from trainer.model.model_spec import ModelSpec

_TIMES = (1, 4, 16)
_CLASSES = 500
_SHARDS = 4
_BATCH = 50
_MEMBERS = 4
_SPEC = ModelSpec.parse("K4-H64", _CLASSES)
_MORE = 1.15


Work = Callable[[], object]


class Taken(NamedTuple):
    """What a step took: seconds by the clock, seconds of the processor, most memory."""

    seconds: float
    processor: float
    peak_bytes: int


def example_gen(files: Sequence[str], videos: int, place: str) -> Work:
    """The Beam steps of YouTube8MExampleGen."""
    import apache_beam as beam

    from components.example_gen.beam_steps import add_steps, read_results
    from components.example_gen.convert import ShardTask
    from pipeline.recipe.loader import load_recipe

    uris = {f"{name}_uri": f"{place}/{name}" for name in ("examples", "summaries", "staging", "checks")}
    tasks = [
        ShardTask(path=path, split="train", index=index, count=len(files), num_classes=_CLASSES, **uris)
        for index, path in enumerate(files)
    ]
    options = beam.options.pipeline_options.PipelineOptions(load_recipe("demo").beam.pipeline_args)

    def work() -> None:
        with beam.Pipeline(options=options) as pipeline:
            add_steps(pipeline, tasks, f"{place}/results.json")
        assert sum(result.videos for result in read_results(f"{place}/results.json")) == videos

    return work


def training(files: Sequence[str], videos: int, place: str) -> Work:
    """An epoch, with building the graph, a snapshot and a state."""
    from trainer.training.config import TrainingConfig
    from trainer.training.loop import train

    steps = videos // _BATCH
    config = TrainingConfig(
        steps=steps,
        batch_size=_BATCH,
        frames_per_video=30,
        shuffle_buffer=512,
        files_per_group=_SHARDS,
        snapshot_every=steps,
        state_every=steps,
        eval_slice=0,
    )
    return lambda: train(_SPEC, config, files, [], place)


def evaluation(files: Sequence[str], videos: int, place: str) -> Work:
    """Scores of all videos, and their metrics."""
    from trainer.base.memory import keep_freed_memory
    from trainer.metrics.scorer import Scorer, evaluate
    from trainer.model.weights import initial_weights

    keep_freed_memory()  # as the components that score do
    scorer = Scorer(_SPEC)
    scorer.load(initial_weights(_SPEC, 0))
    return lambda: evaluate(scorer, files)


def assembling(files: Sequence[str], videos: int, place: str) -> Work:
    """The search over all combinations of some members."""
    from components.ensemble_assembler.search import best_ensembles
    from components.ensemble_assembler.selection import fitting_combinations
    from tests.benchmarks.synthetic_scores import write_scores

    data = write_scores(place, _MEMBERS, videos)
    return lambda: best_ensembles(data, fitting_combinations([1] * _MEMBERS, _MEMBERS))


# Each prepares and returns what is to be timed.
_STEPS = {step.__name__: step for step in (example_gen, training, evaluation, assembling)}


def measure(step: str, files: Sequence[str], videos: int) -> Taken:
    """Does a step in this process, which should have done nothing before."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as place:
        work = _STEPS[step](files, videos, place)
        begin, processor = time.perf_counter(), time.process_time()
        work()
        taken = time.perf_counter() - begin, time.process_time() - processor
    return Taken(*taken, most_memory())


def _copy_with_other_ids(source: str, target: str, number: int) -> None:
    """The same videos, but for ExampleGen not the same: it leaves out what it has seen."""
    records = (parse_parts(record.data) for record in read_records(source))
    write_tfrecords(
        target,
        (
            sequence_example(parts.id + b"-%d" % number, parts.labels, bytes(parts.rgb), bytes(parts.audio))
            for parts in records
        ),
    )


def measure_all(videos: int, place: str) -> dict[str, list[Taken]]:
    """What each step took of each of _TIMES the data, of which the first is so many videos."""
    once = write_sample(
        f"{place}/1",
        train_videos=videos,
        validate_videos=_SHARDS,
        shards=_SHARDS,
        num_classes=_CLASSES,
    )[:_SHARDS]
    files = [once]
    for times in _TIMES[1:]:
        os.mkdir(f"{place}/{times}")
        files.append([f"{place}/{times}/train{index:04d}.tfrecord" for index in range(times * _SHARDS)])
        for index, path in enumerate(files[-1]):
            _copy_with_other_ids(once[index % _SHARDS], path, index)
    taken: dict[str, list[Taken]] = {}
    for step in _STEPS:
        for times, paths in zip(_TIMES, files, strict=True):
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                one = process.submit(measure, step, paths, times * videos).result()
            taken.setdefault(step, []).append(one)
            sys.stderr.write(
                f"{step}, {times}x: {one.seconds:.1f} s, {one.processor:.1f} s CPU, {one.peak_bytes / MIB:.0f} MiB\n"
            )
    return taken


def table(taken: Mapping[str, Sequence[Taken]], videos: int) -> str:
    """A line a step: seconds and MiB by amount of data, and the two verdicts."""
    amounts = [f"{times}x" for times in _TIMES]
    lines = [
        f"| {videos:,} videos times | s at {' | s at '.join(amounts)} | linear? "
        f"| MiB at {' | MiB at '.join(amounts)} | flat? |",
        f"|---|{'---:|' * len(amounts)}---|{'---:|' * len(amounts)}---|",
    ]
    for step, each in taken.items():
        slower = each[2].processor / each[1].processor / (_TIMES[2] / _TIMES[1])
        larger = each[2].peak_bytes / each[1].peak_bytes
        seconds = " | ".join(f"{one.seconds:.1f}" for one in each)
        sizes = " | ".join(f"{one.peak_bytes / MIB:,.0f}" for one in each)
        verdicts = [f"{'yes' if ratio <= _MORE else 'NO'}, {ratio:.2f}" for ratio in (slower, larger)]
        lines.append(f"| {step} | {seconds} | {verdicts[0]} | {sizes} | {verdicts[1]} |")
    return "\n".join(lines) + "\n"


def plot(taken: Mapping[str, Sequence[Taken]], videos: int, path: Path) -> None:
    """Both axes logarithmic on the left, so that linear is a slope of 1; memory from 0 on the right."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    # Text stays text, and the same figures give the same file.
    pyplot.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "growth"})
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    amounts = [times * videos for times in _TIMES]
    for step, each in taken.items():
        left.loglog(amounts, [one.seconds for one in each], marker="o", label=step)
        right.semilogx(amounts, [one.peak_bytes / MIB for one in each], marker="o", label=step)
    for axes, title in ((left, "seconds"), (right, "most memory, MiB")):
        axes.set(title=title, xlabel="videos", xticks=amounts, xticklabels=[f"{one:,}" for one in amounts])
        axes.minorticks_off()
    right.set_ylim(bottom=0)
    left.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--videos", type=whole(times=_BATCH), default=1_000, help=f"of 1x, a multiple of {_BATCH}"
    )
    parser.add_argument("--table", type=Path, default=Path("build/growth.md"))
    parser.add_argument("--plot", type=Path, default=Path("docs/growth.svg"))
    arguments = parser.parse_args()
    described = machine()
    with tempfile.TemporaryDirectory() as place:
        taken = measure_all(arguments.videos, place)
    arguments.table.parent.mkdir(parents=True, exist_ok=True)
    text = f"{in_words(described)}\n\n{table(taken, arguments.videos)}"
    arguments.table.write_text(text, encoding="utf-8")
    plot(taken, arguments.videos, arguments.plot)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
