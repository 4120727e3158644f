"""Batches of the frame-level SequenceExamples that ExampleGen writes, as NumPy arrays.

A record stays the one block of bytes that was read: its frames are views of it, and only those that are needed are
copied. Frames stay uint8, a quarter of what float32 would take, up to the device. A thread works ahead of the
consumer; a second one would wait for the interpreter's lock.

Legend: B videos, T frames, D = 1152 bytes of a frame, V classes.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from trainer.base.batches import batched
from trainer.base.errors import UserError
from trainer.base.prefetch import prefetch
from trainer.data.encoding import frame_dtype
from trainer.data.frame_memory import FrameMemory, as_bytes
from trainer.data.labels import Identified, label_rows
from trainer.data.manifest import referenced
from trainer.data.record_parts import InvalidRecordError, Parts, parse_parts
from trainer.data.tfrecord import Damage, read_records
from trainer.data.yt8m import AUDIO_SIZE, MAX_FRAMES, NUM_CLASSES, RGB_SIZE

_OPEN_FILES = 16
_BLOCK = 4
"""Records that are read from one file before it is the next one's turn."""
_BATCHES_AHEAD = 2
_WIDTH_STEP = 16
"""Batches are padded to multiples of so many frames, so that few shapes occur."""
_RGB, _AUDIO = frame_dtype(RGB_SIZE), frame_dtype(AUDIO_SIZE)

Batch = dict[str, np.ndarray]


class Memory(Protocol):
    """What `FrameMemory` has."""

    def array(self, videos: int, width: int) -> np.ndarray:
        """Returns FRAME [videos, width] of any content."""


Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _Record:
    data: bytes
    place: str
    """File and byte of the record, for messages."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    id: bytes
    labels: tuple[int, ...]
    counts: np.ndarray
    """int64 [n]: how often each of the n different frames was drawn."""
    rgb: np.ndarray
    """_RGB [at least n]: these frames, then anything."""
    audio: np.ndarray
    """_AUDIO [at least n]: likewise."""


def eval_batches(
    files: Sequence[str], batch_size: int, num_classes: int = NUM_CLASSES, limit: int | None = None
) -> Iterator[Batch]:
    """Yields batches of all videos with all their frames, in the order of the files.

    Args:
        files: TFRecord files, plain or gzip, of valid SequenceExamples.
        batch_size: B; the last batch may be smaller.
        num_classes: V.
        limit: Number of videos after which it ends; None for all.

    Yields:
        {id: object (bytes) [B], labels: bool [B, V], frames: uint8 [B, T, D], num_frames: int32 [B]}. T is the length
        of the batch's longest video, at most 300.

    Raises:
        UserError: A file cannot be read, or has a record that is no valid video.
    """
    memory = FrameMemory(batch_size * MAX_FRAMES)

    def decode(records: Sequence[_Record]) -> Batch:
        videos = [_parse(record, num_classes) for record in records]
        lengths = np.array([video.num_frames for video in videos], np.int32)
        frames = memory.array(len(videos), lengths.max())
        for row, video in zip(frames, videos, strict=True):
            row["rgb"][: video.num_frames], row["audio"][: video.num_frames] = _frames(video)
            as_bytes(row[video.num_frames :])[:] = 0
        ids = np.array([video.id for video in videos], object)
        return {
            "id": ids,
            "labels": label_rows(videos, num_classes),
            "frames": as_bytes(frames),
            "num_frames": lengths,
        }

    records = itertools.islice(itertools.chain.from_iterable(map(_read, files)), limit)
    return prefetch(map(decode, batched(records, batch_size)), _BATCHES_AHEAD)


@dataclass(frozen=True, kw_only=True)
class Position:
    """A place in the training stream, from which a resumed run goes on.

    Attributes:
        epoch: Number of the epoch, from 0 on.
        group: Number of the group of files within the epoch.
        offset: Number of the next record within the shuffled group.
    """

    epoch: int = 0
    group: int = 0
    offset: int = 0

    @classmethod
    def after(cls, batch: Batch) -> "Position":
        """Returns the place of the record after a batch of `train_batches`."""
        epoch, group, offset = batch["position"][-1].tolist()
        return cls(epoch=epoch, group=group, offset=offset + 1)


def train_batches(
    files: Sequence[str],
    *,
    batch_size: int,
    frames_per_video: int,
    seed: int,
    shuffle_buffer: int,
    files_per_group: int,
    num_classes: int = NUM_CLASSES,
    start: Position | None = None,
    targets: Callable[[Sequence[Identified], int], np.ndarray] = label_rows,
    memory: Memory | None = None,
) -> Iterator[Batch]:
    """Yields shuffled batches without end. The stream depends on the seed alone and can be entered at any place.

    An epoch is a seeded permutation of the files, cut into groups. The records of a group's files are interleaved and
    shuffled, with no buffer across groups; a run that goes on therefore skips within one group, not within an epoch.

    `frames_per_video` frames are drawn at random, with replacement, from each video's real ones (at most its first
    300), as the paper trains. A frame that is drawn several times stands in the batch once, with its count: of 300
    draws from 300 frames 190 differ, and the network need not look at the others again.

    Args:
        files: TFRecord files of valid SequenceExamples.
        batch_size: B; every batch is full.
        frames_per_video: Number of frames that are drawn from each video.
        seed: Seed of the order and of the drawn frames.
        shuffle_buffer: Number of records that are held for shuffling.
        files_per_group: Number of files whose records are mixed with each other.
        num_classes: V.
        start: Place of the first record; None for the stream's beginning.
        targets: Makes what B videos are trained towards, [B, V], of the videos and V: their labels, or what a teacher
            says of them as well.
        memory: What gives the memory of the batches' frames; None for memory of this process.

    Yields:
        {labels: bool [B, V] or what `targets` makes, frames: uint8 [B, T, D], counts: float32 [B, T] (0 for padding),
        position: int64 [B, 3] (epoch, group, index in the shuffled group)}.

    Raises:
        UserError: A file cannot be read, or has a record that is no valid video; or there is no video at all.
    """
    most_frames = min(frames_per_video, MAX_FRAMES)
    memory = memory or FrameMemory(batch_size * most_frames)
    # Memory of videos that were copied into a batch, to be used again: the system clears fresh memory page by page.
    unused: list[tuple[np.ndarray, np.ndarray]] = []

    def assemble(items: Sequence[tuple[tuple[int, int, int], _Drawn]]) -> Batch:
        videos = [video for _, video in items]
        longest = max(len(video.counts) for video in videos)
        width = min(most_frames, -(-longest // _WIDTH_STEP) * _WIDTH_STEP)
        frames = memory.array(len(items), width)
        counts = np.zeros((len(items), width), np.float32)
        for row, times, video in zip(frames, counts, videos, strict=True):
            number = len(video.counts)
            row["rgb"][:number] = video.rgb["frame"][:number]
            row["audio"][:number] = video.audio["frame"][:number]
            as_bytes(row[number:])[:] = 0
            times[:number] = video.counts
            unused.append((video.rgb, video.audio))
        return {
            "labels": targets(videos, num_classes),
            "frames": as_bytes(frames),
            "counts": counts,
            "position": np.array([place for place, _ in items], np.int64),
        }

    def drawn(group: Sequence[str], generator: np.random.Generator) -> Iterator[_Drawn]:
        # Frames are drawn before the shuffling: the record is still in the processor's cache, and less is held.
        for record in _interleaved(group):
            rgb, audio = (
                unused.pop() if unused else (np.empty(most_frames, _RGB), np.empty(most_frames, _AUDIO))
            )
            yield _draw(_parse(record, num_classes), frames_per_video, generator, rgb, audio)

    stream = _shuffled_stream(
        sorted(files), seed, shuffle_buffer, files_per_group, start or Position(), drawn
    )
    return prefetch(map(assemble, batched(stream, batch_size)), _BATCHES_AHEAD)


def _shuffled_stream(
    files: Sequence[str],
    seed: int,
    shuffle_buffer: int,
    files_per_group: int,
    start: Position,
    read: Callable[[Sequence[str], np.random.Generator], Iterator[Item]],
) -> Iterator[tuple[tuple[int, int, int], Item]]:
    """Yields what `read` makes of each group's files, shuffled, each with its place; without end."""
    first, offset = start.group, start.offset
    for epoch in itertools.count(start.epoch):
        generator = np.random.default_rng((seed, epoch))
        permuted = [files[i] for i in generator.permutation(len(files))]
        groups = [permuted[i : i + files_per_group] for i in range(0, len(permuted), files_per_group)]
        seeds = generator.integers(1, 2**62, size=len(groups))
        whole, seen = first == 0 and offset == 0, False
        for group in range(first, len(groups)):
            order, draws = np.random.default_rng(seeds[group]).spawn(2)
            items = enumerate(_shuffled(read(groups[group], draws), shuffle_buffer, order))
            for index, item in itertools.islice(items, offset, None):
                seen = True
                yield (epoch, group, index), item
            offset = 0
        if whole and not seen:
            raise UserError(f"there is no video in {', '.join(files[:3]) or 'no file'}: nothing to train on")
        first = 0


def _interleaved(files: Sequence[str]) -> Iterator[_Record]:
    """Yields some records of each file in turn, from at most `_OPEN_FILES` files at a time."""
    waiting = map(_read, files)
    active = deque(itertools.islice(waiting, _OPEN_FILES))
    while active:
        records = active.popleft()
        if (first := next(records, None)) is not None:
            yield first
            yield from itertools.islice(records, _BLOCK - 1)
            active.append(records)
        else:
            active.extend(itertools.islice(waiting, 1))


def _read(path: str) -> Iterator[_Record]:
    """Yields the records of a plain or gzip file, or of an address in a manifest."""
    file = referenced(path)
    name = file.file if file else path
    for record in read_records(path):
        if not isinstance(record, Damage):
            yield _Record(record.data, f"{name}, byte {record.offset}")
        elif record.reason != "empty_file":  # a shard without a video is no damage here
            raise UserError(
                f"{name}, byte {record.offset}: {record.reason} ({record.detail}); write the file anew"
            )


def _shuffled(items: Iterable[Item], size: int, generator: np.random.Generator) -> Iterator[Item]:
    """Yields the items in random order: each takes the place of a random one among `size`, which is yielded."""
    held: list[Item] = []
    for item in items:
        if len(held) < size:
            held.append(item)
            continue
        place = generator.integers(size)
        yield held[place]
        held[place] = item
    for place in generator.permutation(len(held)):
        yield held[place]


def _parse(record: _Record, num_classes: int) -> Parts:
    try:
        return parse_parts(record.data, num_classes)
    except InvalidRecordError as error:
        raise UserError(f"{record.place}: no valid video, {error}; `yt8m data check` says more") from error


def _draw(
    video: Parts, draws: int, generator: np.random.Generator, rgb: np.ndarray, audio: np.ndarray
) -> _Drawn:
    """Draws frames of a video at random, and puts them into `rgb` and `audio`."""
    times = np.bincount((generator.random(draws) * video.num_frames).astype(np.int64))
    chosen = np.flatnonzero(times)
    # Whole elements are copied, one call each. With "clip" NumPy checks no index; else it would copy through a buffer.
    for part, source, target in ((video.rgb, _RGB, rgb), (video.audio, _AUDIO, audio)):
        np.take(np.frombuffer(part, source), chosen, out=target[: len(chosen)], mode="clip")
    return _Drawn(video.id, video.labels, times[chosen], rgb, audio)


def _frames(video: Parts) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bytes of the frames, rgb and audio, each [T], as views of the record."""
    return np.frombuffer(video.rgb, _RGB)["frame"], np.frombuffer(video.audio, _AUDIO)["frame"]
