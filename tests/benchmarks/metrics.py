"""GAP, Hit@1, PERR and MAP of dense scores: videos a second, memory, and the distance from the literal formulas.

    python -m tests.benchmarks.metrics

The scores come as an evaluation has them, a batch at a time; a thread a core. The yardstick goes video by video, as the
starter code does: np.argpartition, lists of pairs, one sort.
"""

import argparse
import dataclasses
import itertools
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main
from tests.trainer.metrics.test_metrics import literal_metrics
from trainer.data.yt8m import NUM_CLASSES, TOP_K
from trainer.metrics.video_metrics import VideoMetrics

_BATCH = 512
_LITERAL_VIDEOS = 200

_Batches = list[tuple[np.ndarray, np.ndarray]]


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    batches = list(_batches(arguments.videos))
    few = batches[: max(1, arguments.videos // _BATCH // 8)]
    seconds: dict[str, list[float]] = {"all": [], "gap": [], "plain": []}
    for _ in range(arguments.rounds):
        # In turns, so that what else the machine does falls on all three.
        seconds["all"].append(_timed(lambda: _measured(batches).result(), batches))
        seconds["gap"].append(_timed(lambda: _measured(batches).gap(), batches))
        seconds["plain"].append(_timed(lambda: _video_by_video(few), few))
    speed = {name: 1 / statistics.median(each) for name, each in seconds.items()}
    sizes = f"{arguments.videos:,} x {NUM_CLASSES}"
    for name, text, goal in (("all", "GAP, Hit@1, PERR, MAP", 40_000), ("gap", "GAP alone", 60_000)):
        yield Figure(
            name=f"{text} of {sizes}",
            value=speed[name],
            unit="videos/s",
            yardstick=f"{speed[name] / speed['plain']:.1f} x GAP video by video, {speed['plain']:,.0f} videos/s",
            goal=goal,
        )
    scores_bytes = sum(scores.nbytes for scores, _ in batches)
    peak = _peak(lambda: _measured(batches).result())
    yield Figure(
        name=f"peak memory of the metrics of {sizes}",
        value=peak / 2**20,
        unit="MiB",
        ratio=peak / scores_bytes,
        yardstick=f"the scores, {scores_bytes / 2**20:.0f} MiB",
        goal=0.2,
        at="most",
    )
    yield Figure(
        name=f"largest difference from the literal formulas, {_LITERAL_VIDEOS} videos",
        value=_difference(*(values[:_LITERAL_VIDEOS] for values in batches[0])),
        unit="",
        goal=1e-9,
        at="most",
    )


def _batches(videos: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """float32 and bool [B, V]: about 3 labels a video, mostly scored high."""
    generator = np.random.default_rng(0)
    for start in range(0, videos, _BATCH):
        count = min(_BATCH, videos - start)
        labels = generator.random((count, NUM_CLASSES), np.float32) < 3 / NUM_CLASSES
        logits = generator.standard_normal((count, NUM_CLASSES), np.float32) - 6
        logits[labels] += 6
        yield 1 / (1 + np.exp(-logits)), labels


def _measured(batches: _Batches) -> VideoMetrics:
    """Every thread takes its share of the batches; what they have is merged."""

    def measure(share: _Batches) -> VideoMetrics:
        metrics = VideoMetrics(NUM_CLASSES)
        for scores, labels in share:
            metrics.update(scores, labels)
        return metrics

    threads = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(threads) as pool:
        first, *others = pool.map(measure, (batches[start::threads] for start in range(threads)))
    for other in others:
        first.add(other)
    return first


def _video_by_video(batches: _Batches) -> float:
    pairs, positives = [], 0
    for row, truth in itertools.chain.from_iterable(map(zip, *zip(*batches, strict=True))):
        best = np.argpartition(row, -TOP_K)[-TOP_K:]
        pairs += [(row[place], truth[place]) for place in best]
        positives += truth.sum()
    hits = total = 0
    for rank, (_, hit) in enumerate(sorted(pairs, key=lambda pair: -pair[0]), start=1):
        if hit:
            hits += 1
            total += hits / rank
    return total / positives


def _timed(work: Callable[[], object], batches: _Batches) -> float:
    """Seconds a video."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) / sum(len(scores) for scores, _ in batches)


def _peak(work: Callable[[], object]) -> int:
    """Most bytes that the work has allocated at a time; NumPy tells tracemalloc of its arrays."""
    tracemalloc.start()
    work()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def _difference(scores: np.ndarray, labels: np.ndarray) -> float:
    metrics = VideoMetrics(NUM_CLASSES)
    metrics.update(scores, labels)
    ours = dataclasses.astuple(metrics.result())
    literal = dataclasses.astuple(literal_metrics(scores, labels, TOP_K))
    return max(abs(one - other) for one, other in zip(ours, literal, strict=True))


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--videos", type=whole(), default=20_000)
    parser.add_argument("--rounds", type=whole(), default=5)


if __name__ == "__main__":
    main(__doc__, figures, _options)
