"""YouTube-8M records, validated: every record becomes a video or a reject with a reason, none disappears.

The bytes of a `Video` depend on its content alone, and not on how the record was encoded.

Legend: T frames.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from trainer.data.crc32c import Checksum
from trainer.data.encoding import sequence_example
from trainer.data.record_parts import Edition, InvalidRecordError, Parts, parse_parts
from trainer.data.tfrecord import Damage, read_records
from trainer.data.yt8m import NUM_CLASSES


@dataclass(frozen=True, slots=True)
class Video:
    """One valid video."""

    id: bytes
    labels: tuple[int, ...]
    """Ascending, each once; empty in test files."""
    num_frames: int
    """T, 1 to 300."""
    sequence_example: bytes
    """The serialised SequenceExample, with the features id, labels, rgb and audio and no others."""
    edition: Edition = field(default=Edition.OF_2018, compare=False)
    offset: int = field(default=0, compare=False)
    """Place of the record in its file: bytes of the uncompressed file before it."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record, or the rest of a file, that cannot be used."""

    file: str
    offset: int
    """Place in the file: bytes of the uncompressed file before it."""
    reason: str
    """One of these words. The file is damaged: see `trainer.data.tfrecord.Damage.reason`. The record is invalid:
    `not_an_example`, `missing_feature`, `wrong_type`, `wrong_frame_length`, `unequal_lengths`, `no_frames`,
    `label_out_of_range`, `not_finite`, `value_out_of_range`. The record is valid and the video is left out:
    `duplicate_id`, `no_labels`."""
    detail: str
    """Text for people that says what is wrong."""
    lost_records: int = 1
    """Number of records that this stands for."""
    at_least: bool = False
    """Whether `lost_records` is a lower bound: see `trainer.data.tfrecord.Damage`."""


def read_videos(path: str, num_classes: int = NUM_CLASSES) -> Iterator[Video | Reject]:
    """Yields every record of a TFRecord file, in order, as a video or as a reject.

    Args:
        path: TFRecord file, plain or gzip, local or in a bucket.
        num_classes: Number of classes. A record with a label that is not in 0..num_classes - 1 is rejected; with
            ANY_CLASSES none is, for callers that do not use labels.

    Raises:
        UserError: There is no such file.
    """
    for item in read_parts(path, num_classes):
        yield item if isinstance(item, Reject) else _video(*item)


def read_parts(
    path: str, num_classes: int, checksum: Checksum | None = None
) -> Iterator[tuple[Parts, int] | Reject]:
    """Yields every record of a TFRecord file as its parts and its place, or as a reject; see `read_videos`.

    Args:
        path: See `read_videos`.
        num_classes: See `read_videos`.
        checksum: Receives the bytes of the file.
    """
    for record in read_records(path, checksum):
        if isinstance(record, Damage):
            yield Reject(path, *record)
            continue
        try:
            yield parse_parts(record.data, num_classes), record.offset
        except InvalidRecordError as error:
            yield Reject(path, record.offset, error.reason, error.detail)


def valid_videos(
    paths: Iterable[str], num_classes: int, on_reject: Callable[[Reject], object]
) -> Iterator[Video]:
    """Yields the valid videos of several files in order, and reports the rejects.

    Args:
        paths: TFRecord files, plain or gzip, local or in a bucket.
        num_classes: See `read_videos`.
        on_reject: Receives each reject, before the video that stands behind it is yielded.

    Raises:
        UserError: There is no such file.
    """
    for path in paths:
        for item in read_videos(path, num_classes):
            if isinstance(item, Reject):
                on_reject(item)
            else:
                yield item


def parse_video(data: bytes, num_classes: int = NUM_CLASSES, offset: int = 0) -> Video:
    """Parses a serialised frame-level or video-level record.

    Args:
        data: The record's bytes.
        num_classes: See `read_videos`.
        offset: See `Video.offset`.

    Raises:
        InvalidRecordError: The record is no valid video.
    """
    return _video(parse_parts(data, num_classes), offset)


def _video(parts: Parts, offset: int) -> Video:
    example = sequence_example(parts.id, parts.labels, bytes(parts.rgb), bytes(parts.audio))
    return Video(parts.id, parts.labels, parts.num_frames, example, parts.edition, offset)
