"""Averages of 10 ranges over 20 snapshots: time, bytes read, memory.

    python -m tests.benchmarks.averaging --variant K8-H256

The yardstick reads the same files and writes as many bytes as the averages have, on the same disk, both through 1 MiB
of memory that stays in the processor's cache, as fast as the system can; nothing is added up or checked. Everything has
been read before, so it comes from the page cache each time. TensorFlow's own reading of the same tensors is told, too.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

from tests.argument_types import whole
from tests.benchmarks.figures import Figure, main
from tests.benchmarks.process import bytes_read, peak_memory
from trainer.base.units import MIB
from trainer.checkpoints.averaging import average_snapshots
from trainer.checkpoints.range import Range
from trainer.checkpoints.snapshots import Snapshot, read_snapshot, write_snapshot
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

_SNAPSHOTS = 20
_ENDS = ((0, 19), (2, 19), (5, 19), (10, 19), (15, 19), (5, 14), (10, 14), (8, 16), (12, 17), (3, 9))
_RANGES = [Range(first, last) for first, last in _ENDS]


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    model_bytes = arguments.variant.float32_bytes
    with tempfile.TemporaryDirectory() as place:
        weights = initial_weights(arguments.variant, 0)
        snapshots = [write_snapshot(f"{place}/snapshots", 100 + step, weights) for step in range(_SNAPSHOTS)]
        del weights
        files = [f"{snapshot.prefix}.data-00000-of-00001" for snapshot in snapshots]
        stored = sum(map(os.path.getsize, files))
        os.mkdir(f"{place}/out")
        seconds: dict[str, list[float]] = {"average": [], "plain": [], "tensorflow": []}
        # First, before freed memory lies about; and so that all is in the page cache from now on.
        with peak_memory() as memory, bytes_read() as read:
            _average(snapshots, f"{place}/out")
        for _ in range(arguments.rounds):
            # In turns, so that what else the machine does falls on all three.
            seconds["plain"].append(
                _timed(lambda: _plain(files, f"{place}/out", model_bytes), f"{place}/out")
            )
            seconds["average"].append(_timed(lambda: _average(snapshots, f"{place}/out"), f"{place}/out"))
            seconds["tensorflow"].append(_timed(lambda: _read_all(snapshots), f"{place}/out"))
    median = {name: statistics.median(each) for name, each in seconds.items()}
    ratio = statistics.median(
        one / other for one, other in zip(seconds["average"], seconds["plain"], strict=True)
    )
    what = f"{len(_RANGES)} ranges over {_SNAPSHOTS} snapshots of {arguments.variant}"
    yield Figure(
        name=f"averaging {what}",
        value=median["average"],
        unit="s",
        ratio=ratio,
        yardstick=f"read() and write() of the same bytes, {median['plain']:.2f} s",
        goal=1.5,
        at="most",
    )
    yield Figure(
        name="the same, against TensorFlow's reading alone",
        value=median["average"],
        unit="s",
        ratio=median["average"] / median["tensorflow"],
        yardstick=f"all tensors of all snapshots, {median['tensorflow']:.2f} s",
    )
    yield Figure(
        name="bytes read",
        value=read.bytes / MIB,
        unit="MiB",
        ratio=read.bytes / stored,
        yardstick=f"all snapshots once, {stored / MIB:.0f} MiB",
        goal=1.01,
        at="most",
    )
    yield Figure(
        name="peak memory of averaging",
        value=memory.bytes / MIB,
        unit="MiB",
        ratio=memory.bytes / model_bytes,
        yardstick=f"a model in float32, {model_bytes / MIB:.0f} MiB",
        goal=3,
        at="most",
    )


def _average(snapshots: Sequence[Snapshot], place: str) -> None:
    average_snapshots(snapshots, _RANGES, place)


def _plain(files: Sequence[str], place: str, model_bytes: int) -> None:
    buffer = memoryview(bytearray(MIB))
    for path in files:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    for index in range(len(_RANGES)):
        with open(f"{place}/plain-{index}", "wb", buffering=0) as file:
            for start in range(0, model_bytes, MIB):
                file.write(buffer[: model_bytes - start])


def _read_all(snapshots: Sequence[Snapshot]) -> None:
    for snapshot in snapshots:
        read_snapshot(snapshot.prefix)


def _timed(work: Callable[[], object], place: str) -> float:
    """Seconds of the work in an empty directory."""
    for name in os.listdir(place):
        os.remove(os.path.join(place, name))
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--variant", type=ModelSpec.parse, default="K8-H256")
    parser.add_argument("--rounds", type=whole(), default=2)


if __name__ == "__main__":
    main(__doc__, figures, _options)
