"""Batches of the frame-level SequenceExamples that ExampleGen writes, as NumPy arrays.

A record stays one block of bytes from the file to the batch: its frames are a view of it, of which those that are
needed are copied once, into the batch's own memory. Frames stay uint8, a quarter of what float32 would take, up to
the device. A thread works ahead of the consumer; a second one would wait for the interpreter's lock.

Legend: B videos, T frames, D = 1152 bytes of a frame, V classes.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from trainer.encoding import frame_dtype
from trainer.errors import UserError
from trainer.prefetch import prefetch
from trainer.records import InvalidRecordError, Parts, parse_parts
from trainer.tfrecord import Damage, read_records
from trainer.yt8m import AUDIO_SIZE, FRAME_SIZE, MAX_FRAMES, NUM_CLASSES, RGB_SIZE

_OPEN_FILES = 16
_BLOCK = 4
"""Records that are read from one file before it is the next one's turn."""
_BATCHES_AHEAD = 2
_WIDTH_STEP = 16
"""Batches are padded to multiples of so many frames, so that few shapes occur."""
_RGB, _AUDIO = frame_dtype(RGB_SIZE), frame_dtype(AUDIO_SIZE)
_FRAME = np.dtype([("rgb", f"V{RGB_SIZE}"), ("audio", f"V{AUDIO_SIZE}")])
_ALIGNMENT = 64
"""TensorFlow takes arrays over without a copy where they begin at multiples of so many bytes."""

Batch = dict[str, np.ndarray]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _Record:
    data: bytes
    place: str
    """For people."""


def eval_batches(
    files: Sequence[str], batch_size: int, num_classes: int = NUM_CLASSES, limit: int | None = None
) -> Iterator[Batch]:
    """All real frames of every video, in the order of the files.

    Args:
        files: TFRecord files, plain or gzip, of valid SequenceExamples.
        batch_size: B; the last batch may be smaller.
        num_classes: V.
        limit: Take only the first so many videos.

    Yields:
        {id: object (bytes) [B], labels: bool [B, V], frames: uint8 [B, T, D], num_frames: int32 [B]}, T the longest
        video of the batch and at most 300.

    Raises:
        UserError: A file cannot be read, or holds what is no video.
    """

    def decode(records: Sequence[_Record]) -> Batch:
        videos = [_parse(record, num_classes) for record in records]
        lengths = np.array([video.num_frames for video in videos], np.int32)
        frames = _empty_frames(len(videos), lengths.max())
        for row, video in zip(frames, videos, strict=True):
            row["rgb"][: video.num_frames], row["audio"][: video.num_frames] = _frames(video)
            _as_bytes(row[video.num_frames :])[:] = 0
        ids = np.array([video.id for video in videos], object)
        return {
            "id": ids,
            "labels": _label_rows(videos, num_classes),
            "frames": _as_bytes(frames),
            "num_frames": lengths,
        }

    records = itertools.islice(
        itertools.chain.from_iterable(block for path in files for block in _read(path)), limit
    )
    return prefetch(map(decode, _batched(records, batch_size)), _BATCHES_AHEAD)


@dataclass(frozen=True, kw_only=True)
class Position:
    """The next record of the training stream: what a resumed run needs to go on where it stopped."""

    epoch: int = 0
    group: int = 0
    offset: int = 0


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
    start_step: int = 0,
) -> Iterator[Batch]:
    """An endless stream of shuffled batches, a function of the seed alone, which can start anywhere in it.

    An epoch is a seeded permutation of the files, cut into groups. The records of a group's files are interleaved and
    shuffled, with no buffer across groups; a run that goes on therefore skips within one group, not within an epoch.

    `frames_per_video` frames are drawn at random, with replacement, from each video's real ones (at most its first
    300), as the paper trains. A frame that is drawn several times stands in the batch once, with its count: of 300
    draws from 300 frames 190 differ, and the network need not look at the others again.

    Args:
        files: TFRecord files of valid SequenceExamples.
        batch_size: B; every batch is full.
        frames_per_video: Draws a video.
        seed: Of the order and of the frames.
        shuffle_buffer: Records held for shuffling.
        files_per_group: Files that are mixed with each other.
        num_classes: V.
        start: The `position` of the last record that was used, plus one.
        start_step: Steps done so far; frames are drawn by (seed, number of the video in the stream).

    Yields:
        {labels: bool [B, V], frames: uint8 [B, T, D], counts: float32 [B, T] (0 for padding), position: int64 [B, 3]
        (epoch, group, index of the record)}.

    Raises:
        UserError: A file cannot be read, or holds what is no video; or no file holds any.
    """

    def decode(items: Sequence[tuple[int, tuple[int, int, int], _Record]]) -> Batch:
        videos = [_parse(record, num_classes) for _, _, record in items]
        lengths = np.array([video.num_frames for video in videos])
        draws = _draw(lengths, frames_per_video, seed, items[0][0])
        longest = int(np.count_nonzero(draws, axis=1).max())
        width = min(frames_per_video, -(-longest // _WIDTH_STEP) * _WIDTH_STEP)
        frames, counts = _empty_frames(len(items), width), np.zeros((len(items), width), np.float32)
        for row, times, drawn, video in zip(frames, counts, draws, videos, strict=True):
            chosen = np.flatnonzero(drawn)
            rgb, audio = _frames(video)
            row["rgb"][: len(chosen)], row["audio"][: len(chosen)] = rgb[chosen], audio[chosen]
            _as_bytes(row[len(chosen) :])[:] = 0
            times[: len(chosen)] = drawn[chosen]
        return {
            "labels": _label_rows(videos, num_classes),
            "frames": _as_bytes(frames),
            "counts": counts,
            "position": np.array([place for _, place, _ in items], np.int64),
        }

    stream = _shuffled_stream(sorted(files), seed, shuffle_buffer, files_per_group, start or Position())
    numbered = ((count, *item) for count, item in enumerate(stream, start_step * batch_size))
    return prefetch(map(decode, _batched(numbered, batch_size)), _BATCHES_AHEAD)


def _shuffled_stream(
    files: Sequence[str], seed: int, shuffle_buffer: int, files_per_group: int, start: Position
) -> Iterator[tuple[tuple[int, int, int], _Record]]:
    """Places and records, without end."""
    first, offset = start.group, start.offset
    for epoch in itertools.count(start.epoch):
        generator = np.random.default_rng((seed, epoch))
        permuted = [files[i] for i in generator.permutation(len(files))]
        groups = [permuted[i : i + files_per_group] for i in range(0, len(permuted), files_per_group)]
        seeds = generator.integers(1, 2**62, size=len(groups))
        seen = False
        for group in range(first, len(groups)):
            order = np.random.default_rng(seeds[group])
            records = enumerate(_shuffled(_interleaved(groups[group]), shuffle_buffer, order))
            for index, record in itertools.islice(records, offset, None):
                seen = True
                yield (epoch, group, index), record
            offset = 0
        if not seen and first == 0:
            raise UserError(f"there is no video in {', '.join(files[:3]) or 'no file'}: nothing to train on")
        first = 0


def _interleaved(files: Sequence[str]) -> Iterator[_Record]:
    """Some records of each file in turn, of at most `_OPEN_FILES` files at a time."""
    waiting = iter(files)
    active = deque(_read(path) for path in itertools.islice(waiting, _OPEN_FILES))
    while active:
        blocks = active.popleft()
        if (block := next(blocks, None)) is not None:
            yield from block
            active.append(blocks)
        elif (path := next(waiting, None)) is not None:
            active.append(_read(path))


def _read(path: str) -> Iterator[list[_Record]]:
    """The records of a plain or gzip file, in blocks."""

    def records() -> Iterator[_Record]:
        for record in read_records(path):
            if not isinstance(record, Damage):
                yield _Record(record.data, f"{path}, byte {record.offset}")
            elif record.reason != "empty_file":  # a shard without a video is no damage here
                raise UserError(
                    f"{path}, byte {record.offset}: {record.reason} ({record.detail}); write the file anew"
                )

    return _batched(records(), _BLOCK)


def _shuffled(items: Iterable[Item], size: int, generator: np.random.Generator) -> Iterator[Item]:
    """Each item takes a random place among the `size` that are held, and pushes out the one that was there."""
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


def _batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _parse(record: _Record, num_classes: int) -> Parts:
    try:
        return parse_parts(record.data, num_classes)
    except InvalidRecordError as error:
        raise UserError(f"{record.place}: no valid video, {error}; `yt8m data check` says more") from error


def _draw(lengths: np.ndarray, draws: int, seed: int, first: int) -> np.ndarray:
    """int64 [B, 300]: how often each frame is drawn, of the videos of `lengths` frames from number `first` on."""
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, first], np.uint64)))
    chosen = generator.integers(lengths[:, np.newaxis], size=(len(lengths), draws))
    chosen += MAX_FRAMES * np.arange(len(lengths))[:, np.newaxis]
    return np.bincount(chosen.ravel(), minlength=len(lengths) * MAX_FRAMES).reshape(-1, MAX_FRAMES)


def _frames(video: Parts) -> tuple[np.ndarray, np.ndarray]:
    """The frames' bytes, rgb and audio, each [T]: views of the record."""
    return np.frombuffer(video.rgb, _RGB)["frame"], np.frombuffer(video.audio, _AUDIO)["frame"]


def _empty_frames(videos: int, width: int) -> np.ndarray:
    """_FRAME [videos, width], of any content."""
    size = videos * width * FRAME_SIZE
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(_FRAME).reshape(videos, width)


def _as_bytes(frames: np.ndarray) -> np.ndarray:
    """_FRAME [B, T] as uint8 [B, T, D]."""
    return frames.view(np.uint8).reshape(*frames.shape, FRAME_SIZE)


def _label_rows(videos: Sequence[Parts], num_classes: int) -> np.ndarray:
    rows = np.zeros((len(videos), num_classes), np.bool_)
    for row, video in zip(rows, videos, strict=True):
        row[list(video.labels)] = True
    return rows
