"""Training batches from several processes, each with a share of the files.

One process takes a record apart while it holds the interpreter's lock, and a GPU can be faster than it. Batch i comes
from process i modulo their number, so the stream depends on the seed and on the number of processes alone. Frames are
written once, into memory that a process shares with this one; a tensor can share it, too.

Memory is shared by files without a name, and not through /dev/shm, which is small in containers. The protocol: this
process writes the settings (a line of JSON), and then a byte, the number of a slot, for each slot that is free again;
a process writes pickled batches: of their frames the number of the slot and the shape, and the labels packed.
"""

import contextlib
import itertools
import json
import mmap
import os
import pickle
import subprocess
import sys
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np

from trainer.base.errors import UserError
from trainer.base.memory import keep_freed_memory
from trainer.data.frame_memory import ALIGNMENT, FRAME, as_bytes
from trainer.data.input_pipeline import Batch, Position, train_batches
from trainer.data.yt8m import FRAME_SIZE, MAX_FRAMES

SLOTS = 6
"""Batches of a process that are there at once: those made ahead, and those that the trainer still holds."""


def batches_of_processes(
    files: Sequence[str], processes: int, starts: Sequence[Position], first: int = 0, **settings: Any
) -> Iterator[Batch]:
    """Yields what `train_batches` yields, made by several processes; see there.

    Args:
        files: TFRecord files; a process gets one in so many of them.
        processes: Number of processes. With one, all is done in this process, and there is only `train_batches`.
        starts: Place of the next record in the stream of each process.
        first: Number of the process that the first batch comes from.
        settings: The keyword arguments of `train_batches`. Buffer and group of files are divided among the processes.

    Raises:
        UserError: As `train_batches`, and where there are fewer files than processes.
    """
    if processes == 1:
        yield from train_batches(files, start=starts[0], **settings)
        return
    if len(files) < processes:
        raise UserError(
            f"training.input_processes: {processes} processes need as many files, and there are {len(files)}"
        )
    settings["shuffle_buffer"] = -(-settings["shuffle_buffer"] // processes)
    settings["files_per_group"] = -(-settings["files_per_group"] // processes)
    with contextlib.ExitStack() as stack:
        workers = []
        for number, start in enumerate(starts):
            share = sorted(files)[number::processes]
            seed = settings["seed"] * processes + number
            workers.append(stack.enter_context(_Worker(share, start, {**settings, "seed": seed})))
        for number in itertools.count(first):
            yield workers[number % processes].next()


class _Worker:
    """A process that makes batches, seen from this one."""

    def __init__(self, files: Sequence[str], start: Position, settings: dict[str, Any]) -> None:
        size = _slot_bytes(settings)
        descriptor = os.memfd_create("yt8m-batches")
        os.ftruncate(descriptor, SLOTS * size)
        self._memory = mmap.mmap(descriptor, SLOTS * size)
        self._size, self._num_classes = size, settings["num_classes"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(descriptor)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[descriptor],
        )  # fmt: skip
        os.close(descriptor)
        place = [start.epoch, start.group, start.offset]
        line = json.dumps({"files": list(files), "start": place, "settings": settings})
        self._tell(f"{line}\n".encode())

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def next(self) -> Batch:
        """Returns the next batch. Its memory is the process's again when nobody here holds its frames."""
        try:
            batch = pickle.load(self._process.stdout)
        except (EOFError, pickle.UnpicklingError):
            raise RuntimeError(
                f"a process that reads the input ended with code {self._process.wait()}"
            ) from None
        if "error" in batch:
            raise UserError(batch["error"])
        slot, (videos, width) = batch["frames"]
        held = np.frombuffer(self._memory, np.uint8, videos * width * FRAME_SIZE, slot * self._size)
        weakref.finalize(held, self._tell, bytes([slot])).atexit = False
        batch["labels"] = np.unpackbits(batch["labels"], axis=1, count=self._num_classes).view(np.bool_)
        batch["frames"] = as_bytes(held.view(FRAME).reshape(videos, width))
        return batch

    def _tell(self, message: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ValueError):  # it has ended, which `next` will say
            self._process.stdin.write(message)
            self._process.stdin.flush()


class _Slots:
    """Memory for the frames of batches in a process that makes them; has `array` as `FrameMemory` has."""

    def __init__(self, descriptor: int, size: int, freed: IO[bytes]) -> None:
        self._bytes = np.frombuffer(mmap.mmap(descriptor, SLOTS * size), np.uint8)
        self._size, self._freed, self._unused = size, freed, list(range(SLOTS))

    def array(self, videos: int, width: int) -> np.ndarray:
        """Returns FRAME [videos, width] of any content, and waits until there is memory for it."""
        slot = self._unused.pop() if self._unused else self._next_freed()
        begin = slot * self._size
        return self._bytes[begin : begin + videos * width * FRAME_SIZE].view(FRAME).reshape(videos, width)

    def slot_of(self, frames: np.ndarray) -> int:
        """Returns the slot that an array lies in."""
        return (frames.ctypes.data - self._bytes.ctypes.data) // self._size

    def _next_freed(self) -> int:
        if not (freed := self._freed.read(1)):
            os._exit(0)  # the trainer has ended
        return freed[0]


def _slot_bytes(settings: dict[str, Any]) -> int:
    frames = settings["batch_size"] * min(settings["frames_per_video"], MAX_FRAMES)
    page = max(mmap.PAGESIZE, ALIGNMENT)
    return -(-frames * FRAME_SIZE // page) * page


def _produce(descriptor: int) -> None:
    keep_freed_memory()
    given, out = os.fdopen(0, "rb", buffering=0), os.fdopen(os.dup(1), "wb")
    line = b""
    while not line.endswith(b"\n"):
        line += given.read(1)
    told = json.loads(line)
    epoch, group, offset = told["start"]
    memory = _Slots(descriptor, _slot_bytes(told["settings"]), given)
    start = Position(epoch=epoch, group=group, offset=offset)
    try:
        for batch in train_batches(told["files"], start=start, memory=memory, **told["settings"]):
            frames, labels = batch["frames"], np.packbits(batch["labels"], axis=1)
            sent = {**batch, "labels": labels, "frames": (memory.slot_of(frames), frames.shape[:2])}
            pickle.dump(sent, out, protocol=5)
            out.flush()
    except UserError as error:
        pickle.dump({"error": str(error)}, out)
        out.flush()
    except BrokenPipeError:
        os._exit(0)  # the trainer has ended


if __name__ == "__main__":
    _produce(int(sys.argv[1]))
