"""Averages of many ranges of snapshots, for one reading of each snapshot and little memory.

The scheme: the tensors are taken one after the other. Of a tensor, the snapshots' values are added up in
float64 in the order of their steps, as one running sum P. Where a range starts, P is put aside as its base;
where it ends, the range's average (P - base) / count is written, in float32, to that range's file. So

- each tensor of each snapshot is read once, whatever the number of ranges, and none outside the ranges;
- memory is a few copies of ONE tensor (the largest is about 37 % of a model), never of a model: the running
  sum, the snapshot being added, the next one being read ahead, and a base for each distinct start that is
  still in use. Bases that would go beyond two models' worth lie in a scratch file instead;
- an average is the arithmetic mean rounded to float32: float64 sums of float32 values, and differences of
  them, are good to about 1e-16 of the sums.

However ranges overlap, the cost is one addition a snapshot and one subtraction a range.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.errors import UserError
from trainer.snapshots import Snapshot, open_snapshot
from trainer.variant import MIB

_CHUNK = 1 << 18
"""Elements that a thread handles at once, so that its float64 work space stays in the processor's cache."""
_MODELS_IN_MEMORY = 2
"""For the sums and bases; whoever evaluates the averages holds a third one."""


@dataclass(frozen=True, order=True)
class Range:
    """Snapshots `first` to `last`, both included, by their index in the list of snapshots."""

    first: int
    last: int

    @property
    def count(self) -> int:
        """Number of snapshots."""
        return self.last - self.first + 1


def average_snapshots(
    snapshots: Sequence[Snapshot], ranges: Sequence[Range], scratch: str, memory_bytes: int | None = None
) -> list[Mapping[str, np.ndarray]]:
    """The arithmetic means of all snapshots of each range.

    Args:
        snapshots: Ascending by step, of one model.
        ranges: Any number, overlapping in any way.
        scratch: Local directory for the averages, a model in float32 each; must outlive their use.
        memory_bytes: What the sums may take; by default twice a model in float32.

    Returns:
        For each range the float32 weights, mapped from its file in `scratch`: they take no memory until used.

    Raises:
        ValueError: If a range does not lie in the list, or a snapshot has other tensors than the first one.
    """
    for wanted in ranges:
        if not 0 <= wanted.first <= wanted.last < len(snapshots):
            raise ValueError(f"a range must lie within the {len(snapshots)} snapshots. Received: {wanted}")
    if not ranges:
        return []
    used = sorted({index for wanted in ranges for index in range(wanted.first, wanted.last + 1)})
    shapes = _common_shapes([snapshots[index] for index in used])
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    offsets = np.cumsum([0, *sizes]).tolist()
    memory_bytes = memory_bytes or _MODELS_IN_MEMORY * 4 * offsets[-1]
    distinct = sorted(set(ranges))
    _check_room(scratch, 4 * offsets[-1] * len(distinct))
    paths = {wanted: os.path.join(scratch, f"average-{wanted.first}-{wanted.last}") for wanted in distinct}
    files = {wanted: os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for wanted, path in paths.items()}
    spill = os.open(os.path.join(scratch, "bases"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            for name, size, offset in zip(shapes, sizes, offsets, strict=False):
                sums = _RunningSum(size, memory_bytes, spill, pool)
                values = _read_ahead(reader, [snapshots[index].prefix for index in used], name)
                for index, value in zip(used, values, strict=True):
                    starting = {wanted for wanted in distinct if wanted.first == index}
                    if starting:
                        sums.open(index)
                    sums.add(value)
                    del value
                    for wanted in distinct:
                        if wanted.last == index:
                            sums.write_mean(wanted, files[wanted], 4 * offset)
                    for first in {wanted.first for wanted in distinct if wanted.last == index}:
                        if not any(wanted.first == first and wanted.last > index for wanted in distinct):
                            sums.close(first)
    finally:
        for file in (*files.values(), spill):
            os.close(file)
    return [
        {
            name: np.memmap(paths[wanted], np.float32, "r", offset=4 * offset, shape=shape)
            for (name, shape), offset in zip(shapes.items(), offsets, strict=False)
        }
        for wanted in ranges
    ]


class _RunningSum:
    """The float64 sum of one tensor over the snapshots so far, and what it was where ranges started.

    Args:
        size: Elements of the tensor.
        memory_bytes: Beyond which bases are put into the spill file.
        spill: File descriptor, read and write.
        pool: Threads; numpy lets go of the interpreter's lock within a chunk.
    """

    def __init__(self, size: int, memory_bytes: int, spill: int, pool: Executor) -> None:
        self._size = size
        self._spill = spill
        self._pool = pool
        self._sum: np.ndarray | None = None
        # At any time there are the sum (8 bytes an element) and two float32 values, one of them being read.
        self._bases_in_memory = max(0, int((memory_bytes - 16 * size) // max(1, 8 * size)))
        self._bases: dict[int, np.ndarray | int | None] = {}
        self._next_place = 0

    def open(self, first: int) -> None:
        """A range starts here: keeps the sum as its base."""
        if not self._bases:
            self._sum = None  # nobody needs what came before
        if self._sum is None:
            self._bases[first] = None
        elif sum(isinstance(base, np.ndarray) for base in self._bases.values()) < self._bases_in_memory:
            base = np.empty_like(self._sum)
            self._in_chunks(lambda part: np.copyto(base[part], self._sum[part]))
            self._bases[first] = base
        else:
            place, self._next_place = self._next_place, self._next_place + 8 * self._size
            self._in_chunks(lambda part: _write(self._spill, self._sum[part], place + 8 * part.start))
            self._bases[first] = place

    def close(self, first: int) -> None:
        """No further range with this start follows."""
        del self._bases[first]

    def add(self, value: np.ndarray) -> None:
        """Adds the tensor of the next snapshot, float32, flat."""
        if self._sum is None:
            total = self._sum = np.empty(self._size)
            self._in_chunks(lambda part: np.copyto(total[part], value[part]))
        else:
            total = self._sum
            self._in_chunks(lambda part: np.add(total[part], value[part], out=total[part]))

    def write_mean(self, wanted: Range, file: int, place: int) -> None:
        """Writes the mean since the start of the range, float32, at a byte of a file."""

        def write(part: slice) -> None:
            base = self._base(wanted.first, part)
            total = self._sum[part]
            mean = np.empty(len(total), np.float32)
            if base is None:
                np.divide(total, wanted.count, out=mean, casting="same_kind")
            else:
                difference = total - base
                np.divide(difference, wanted.count, out=mean, casting="same_kind")
            _write(file, mean, place + 4 * part.start)

        self._in_chunks(write)

    def _base(self, first: int, part: slice) -> np.ndarray | None:
        base = self._bases[first]
        if isinstance(base, int):
            return np.frombuffer(os.pread(self._spill, 8 * (part.stop - part.start), base + 8 * part.start))
        return base if base is None else base[part]

    def _in_chunks(self, work: Callable[[slice], object]) -> None:
        parts = [slice(start, min(start + _CHUNK, self._size)) for start in range(0, self._size, _CHUNK)]
        for _ in self._pool.map(work, parts):
            pass


def _common_shapes(snapshots: Sequence[Snapshot]) -> dict[str, tuple[int, ...]]:
    first, *others = snapshots
    shapes = open_snapshot(first.prefix).get_variable_to_shape_map()
    for other in others:
        if open_snapshot(other.prefix).get_variable_to_shape_map() != shapes:
            raise ValueError(
                f"{first.prefix} and {other.prefix} differ in the names or shapes of their tensors"
            )
    return {name: tuple(shapes[name]) for name in sorted(shapes)}


def _check_room(directory: str, size: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < size:
        raise UserError(
            f"the averages take {size / MIB:.0f} MiB and {directory} has {free / MIB:.0f} MiB: set TMPDIR to "
            "a larger disk, or average fewer ranges"
        )


def _read_ahead(reader: Executor, prefixes: Sequence[str], name: str) -> Iterator[np.ndarray]:
    """A tensor's value in each snapshot, float32, flat; the next is being read while one is used."""

    def read(prefix: str) -> np.ndarray:
        # Unlike CheckpointReader.get_tensor this op lets other threads run while it reads.
        (value,) = tf.raw_ops.RestoreV2(
            prefix=prefix, tensor_names=[name], shape_and_slices=[""], dtypes=[tf.float32]
        )
        return np.asarray(value).reshape(-1)

    ahead = reader.submit(read, prefixes[0])
    for prefix in [*prefixes[1:], None]:
        value = ahead.result()
        ahead = reader.submit(read, prefix) if prefix is not None else None
        yield value
        del value  # or the one before would stay in memory with the next two


def _write(file: int, values: np.ndarray, place: int) -> None:
    view = memoryview(values).cast("B")
    while view:
        written = os.pwrite(file, view, place)
        view, place = view[written:], place + written
