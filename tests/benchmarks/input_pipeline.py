"""From TFRecord files to batches on the host, against reading the records alone.

    python -m tests.benchmarks.input_pipeline --rounds 5

The yardstick is tf.data.TFRecordDataset over the same files, plain or gzip.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator

import tensorflow as tf

from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main
from tests.benchmarks.videos import check_videos, write_videos
from trainer.data.input_pipeline import Position, eval_batches, train_batches
from trainer.data.input_processes import SLOTS, batches_of_processes
from trainer.data.yt8m import MAX_FRAMES, NUM_CLASSES

_SHARDS = 8
_READ_AHEAD = 4
"""Batches; more than a pipeline holds."""
_PLAIN_ROUNDS = 6
"""For one of gzip: it takes a tenth of the time, and a figure of so short a time scatters by a third."""


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    check_videos(arguments.videos, _SHARDS, arguments.batch)
    with tempfile.TemporaryDirectory() as place:
        for kind, suffix in (("plain", ""), ("gzip", ".gz")):
            directory = os.path.join(place, kind)
            os.mkdir(directory)
            files = write_videos(directory, _SHARDS, arguments.videos // _SHARDS, arguments.frames, suffix)
            rounds = arguments.rounds if kind == "gzip" else _PLAIN_ROUNDS * arguments.rounds
            yield from _figures(arguments, files, kind, rounds)
            if kind == "plain":
                yield _two_processes(arguments, files, rounds)


def _figures(arguments: argparse.Namespace, files: list[str], kind: str, rounds: int) -> Iterator[Figure]:
    batches = arguments.videos // arguments.batch
    raw = tf.data.TFRecordDataset(files, compression_type="GZIP" if kind == "gzip" else "")
    training = train_batches(
        files,
        batch_size=arguments.batch,
        frames_per_video=arguments.frames,
        seed=0,
        shuffle_buffer=2 * arguments.batch,
        files_per_group=_SHARDS,
    )
    each: dict[str, list[float]] = {"records alone": [], "training": [], "evaluation": []}
    for _ in range(rounds):
        each["records alone"].append(_seconds(iter(raw), 0, len(files) * (arguments.videos // _SHARDS)))
        each["training"].append(_seconds(training, _READ_AHEAD, batches))
        evaluation = eval_batches(files * 2, arguments.batch)
        each["evaluation"].append(_seconds(evaluation, _READ_AHEAD, batches))
        evaluation.close()
    training.close()
    times = {name: statistics.median(taken) for name, taken in each.items()}
    alone, videos = times.pop("records alone"), arguments.videos
    for name, taken in times.items():
        # Round by round: what else the host does changes from second to second, for both alike.
        ratios = [one / other for one, other in zip(each["records alone"], each[name], strict=True)]
        yield Figure(
            name=f"{name} batches of {arguments.batch} x {arguments.frames} frames, uint8, {kind}",
            value=videos / taken,
            unit="videos/s",
            ratio=statistics.median(ratios),
            yardstick=f"reading the records alone, {videos / alone:,.0f} videos/s",
            goal=0.6,
        )


def _two_processes(arguments: argparse.Namespace, files: list[str], rounds: int) -> Figure:
    """What a second core adds, in turns."""
    settings = {
        "batch_size": arguments.batch, "frames_per_video": arguments.frames, "seed": 0,
        "shuffle_buffer": 2 * arguments.batch, "files_per_group": _SHARDS, "num_classes": NUM_CLASSES,
    }  # fmt: skip
    counts = (1, 2)
    running = {
        count: batches_of_processes(files, count, [Position()] * count, **settings) for count in counts
    }
    batches = arguments.videos // arguments.batch
    times: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(rounds):
        for count, iterator in running.items():
            # What was made ahead while the other one was measured does not count.
            times[count].append(_seconds(iterator, SLOTS * count, batches))
    for iterator in running.values():
        iterator.close()
    one, two = (statistics.median(times[count]) for count in counts)
    return Figure(
        name=f"training batches of {arguments.batch} x {arguments.frames} frames by two processes",
        value=arguments.videos / two,
        unit="videos/s",
        ratio=statistics.median(first / second for first, second in zip(*times.values(), strict=True)),
        yardstick=f"one process, {arguments.videos / one:,.0f} videos/s",
        goal=1.8,
    )


def _seconds(iterator: Iterator, skipped: int, count: int) -> float:
    """Of `count` elements in a row, after those that were made while the pipeline started."""
    for _ in range(skipped):
        next(iterator)
    begin = time.perf_counter()
    for _ in range(count):
        next(iterator)
    return time.perf_counter() - begin


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--videos", type=whole(), default=640)
    parser.add_argument("--batch", type=whole(), default=80)
    parser.add_argument("--frames", type=whole(most=MAX_FRAMES), default=300)
    parser.add_argument("--rounds", type=whole(), default=4)


if __name__ == "__main__":
    main(__doc__, figures, _options)
