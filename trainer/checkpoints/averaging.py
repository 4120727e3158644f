"""Averages many ranges of snapshots, while it reads each snapshot once and takes hardly any memory.

The tensors are processed in pieces small enough for the processor's cache. For each piece the snapshots' values are
added up in float64 in the order of their steps, as one running sum P. Where a range starts, P is copied as the range's
base; where it ends, the range's average (P - base) / count is written in float32 to the range's file. So

- each byte of a snapshot is read once, whatever the number of ranges, and snapshots in no range are not read;
- the memory is that of a few pieces, whatever the size of the model and the number of snapshots and ranges;
- an average is the arithmetic mean rounded to float32: float64 sums of float32 values, and differences of them, have
  errors of about 1e-16 of the sums.

However ranges overlap, there is one addition for each snapshot and one subtraction for each range. A range whose
snapshots decay, an exponential moving average, has a sum S of its own in float64, S = decay * S + value.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np

from trainer.base.errors import UserError
from trainer.base.full_disk import naming
from trainer.base.units import MIB
from trainer.checkpoints.piece_reader import PieceReader
from trainer.checkpoints.range import Range
from trainer.checkpoints.snapshots import Snapshot
from trainer.checkpoints.tensor_bundle import StoredTensor, stored_tensors

_PIECE = 1 << 17
"""Elements of a piece, which takes 512 KiB of a snapshot, and 1 MiB of the sum and of each base."""


def average_snapshots(
    snapshots: Sequence[Snapshot], ranges: Sequence[Range], scratch: str
) -> list[Mapping[str, np.ndarray]]:
    """Computes the mean of the snapshots of each range, arithmetic or exponentially weighted.

    Args:
        snapshots: Snapshots of one model in local files, ascending by step.
        ranges: Any number of ranges, which may overlap.
        scratch: Local directory for the averages, each as large as the model in float32. It must outlive their use.

    Returns:
        The float32 weights of each range, mapped from its file in `scratch`: they take no memory until they are used.

    Raises:
        ValueError: A range does not lie in the list, its decay is impossible, or a snapshot has other tensors than
            the first one.
        DamagedCheckpointError: A snapshot is damaged.
        UserError: The averages do not fit on the disk.
    """
    for wanted in ranges:
        if not 0 <= wanted.first <= wanted.last < len(snapshots):
            raise ValueError(f"a range must lie within the {len(snapshots)} snapshots. Received: {wanted}")
        if not 0 < wanted.decay <= 1:
            raise ValueError(f"a range's decay must be above 0 and at most 1. Received: {wanted}")
    if not ranges:
        return []
    distinct = sorted(set(ranges))
    used = sorted({index for wanted in distinct for index in range(wanted.first, wanted.last + 1)})
    stored = {index: stored_tensors(snapshots[index].prefix) for index in used}
    shapes = _common_shapes({snapshots[index].prefix: tensors for index, tensors in stored.items()})
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    places = dict(zip(shapes, np.cumsum([0, *(4 * size for size in sizes[:-1])]).tolist(), strict=True))
    _check_room(scratch, 4 * sum(sizes) * len(distinct))
    paths = {wanted: os.path.join(scratch, f"average-{number}") for number, wanted in enumerate(distinct)}
    with naming(scratch), ExitStack() as stack:
        files = {wanted: stack.enter_context(open(path, "wb")).fileno() for wanted, path in paths.items()}

        def average(name: str) -> None:
            tensors = {index: stored[index][name] for index in used}
            _average_tensor(tensors, distinct, files, places[name])

        # The large ones first, or one thread would be left with the largest at the end.
        largest_first = sorted(places, key=lambda name: -np.prod(shapes[name]))
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
            list(pool.map(average, largest_first))
    return [
        {
            name: np.memmap(paths[wanted], np.float32, "r", offset=places[name], shape=shape)
            for name, shape in shapes.items()
        }
        for wanted in ranges
    ]


def _average_tensor(
    tensors: Mapping[int, StoredTensor], ranges: Sequence[Range], files: Mapping[Range, int], place: int
) -> None:
    """Writes the averages of one tensor.

    Args:
        tensors: Place of the tensor in each snapshot, by the snapshot's index, ascending.
        ranges: The ranges, each once.
        files: Descriptor of each range's file.
        place: Offset of the tensor in these files, in bytes.
    """
    size = next(iter(tensors.values())).size
    means, decaying = ([one for one in ranges if (one.decay < 1) is decays] for decays in (False, True))
    starts = {one.first for one in means}
    ending = {index: [one for one in means if one.last == index] for index in tensors}
    # Where no range goes on from the snapshot before, the sum starts anew.
    anew = {index for index in tensors if not any(one.first < index <= one.last for one in means)}
    with ExitStack() as stack:
        readers = {index: stack.enter_context(PieceReader(tensor)) for index, tensor in tensors.items()}
        for start in range(0, size, _PIECE):
            value = np.empty(min(_PIECE, size - start), np.float32)
            mean, total = np.empty_like(value), np.zeros(len(value))
            difference, bases = np.empty_like(total), {}
            sums = {one: np.zeros(len(value)) for one in decaying}
            for index, reader in readers.items():
                if index in anew:
                    total[:] = 0
                if index in starts:
                    bases[index] = total.copy()
                reader.read(value)
                total += value
                for one in ending[index]:
                    np.subtract(total, bases[one.first], out=difference)
                    np.divide(difference, one.count, out=mean, casting="same_kind")
                    _write(files[one], mean, place + 4 * start)
                for one, decayed in sums.items():
                    if one.first <= index <= one.last:
                        decayed *= one.decay
                        decayed += value
                    if one.last == index:
                        np.divide(decayed, one.weight, out=mean, casting="same_kind")
                        _write(files[one], mean, place + 4 * start)


def _common_shapes(tensors: Mapping[str, Mapping[str, StoredTensor]]) -> dict[str, tuple[int, ...]]:
    """Returns the shapes by name; raises ValueError where the checkpoints, given by prefix, differ in them."""
    (first, shapes), *others = (
        (prefix, {name: tensor.shape for name, tensor in stored.items()})
        for prefix, stored in tensors.items()
    )
    for prefix, other in others:
        if other != shapes:
            raise ValueError(f"{first} and {prefix} differ in the names or shapes of their tensors")
    return shapes


def _check_room(directory: str, size: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < size:
        raise UserError(
            f"the averages take {size / MIB:.0f} MiB and {directory} has {free / MIB:.0f} MiB: set TMPDIR to "
            "a larger disk, or average fewer ranges"
        )


def _write(file: int, values: np.ndarray, place: int) -> None:
    view = memoryview(values).cast("B")
    while view:
        written = os.pwrite(file, view, place)
        view, place = view[written:], place + written
