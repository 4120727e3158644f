"""The parts of YouTube-8M's records: id, labels and frames, each record valid or refused with a reason.

Frame-level records (SequenceExample: id, labels; rgb and audio, one byte string a frame) and video-level
records (Example: id, labels, mean_rgb, mean_audio) are told apart one by one. A video-level record becomes a
one-frame video in the same 8-bit code. All editions of the data set are read: see `Edition`.

Legend: T frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from trainer.base.wire_format import byte_fields
from trainer.data.encoding import encode_frame_values, encode_frames, frame_dtype, frame_prefix, quantize
from trainer.data.messages import FeatureList, Features
from trainer.data.yt8m import AUDIO_SIZE, MAX_FRAMES, NUM_CLASSES, RGB_SIZE

_CONTEXT, _FEATURE_LISTS = 1, 2
"""Fields of a SequenceExample (tensorflow/core/example/example.proto)."""
_KEY, _VALUE = 1, 2
"""Fields of a map's entry."""

MEAN_LIMIT = 2.1
"""Largest magnitude of a valid video-level feature. Those of the data set lie in [-1.992, 2.008], as the code does."""


class Edition(StrEnum):
    """An edition of the YouTube-8M data set, which a record shows by the names of its features."""

    OF_2016 = "2016/17"
    """The id of a video stands in `video_id`; 4,800 classes in 2016, 4,716 in 2017."""
    OF_2018 = "2018"
    """The id stands in `id`; 3,862 classes. Nothing tells a video of 2019 that has no segment labels from these."""
    OF_2019 = "2019"
    """Frame level, with labels of 5-second segments, which are not used: only those of the whole video are."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The content of a valid record."""

    id: bytes
    labels: tuple[int, ...]
    """Ascending, each once."""
    num_frames: int
    """T, 1 to 300."""
    rgb: bytes | memoryview
    """Serialised FeatureList of T frames of 1024 bytes, as `trainer.data.encoding.encode_frames` writes it; it may be a
    view of the record."""
    audio: bytes | memoryview
    """Serialised FeatureList of T frames of 128 bytes, likewise."""
    edition: Edition
    is_video_level: bool = False
    """Whether the record was video-level: its one frame was made of floats."""


class InvalidRecordError(Exception):
    """A record is no valid video.

    Args:
        reason: See `Reject.reason`.
        detail: What is wrong, for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def parse_parts(data: bytes, num_classes: int = NUM_CLASSES) -> Parts:
    """Takes a serialised frame-level or video-level record apart.

    Args:
        data: The record's bytes.
        num_classes: See `read_videos`.

    Raises:
        InvalidRecordError: The record is no valid video.
    """
    try:
        context, lists = _parts(data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise InvalidRecordError("not_an_example", "the bytes are no Example or SequenceExample") from error
    if not context and not lists:
        raise InvalidRecordError("not_an_example", "there is no feature in it")
    edition = _edition(context)
    video_id = _id(context, _ID_NAMES[edition])
    labels = _labels(context, num_classes)
    is_video_level = not lists and ("mean_rgb" in context or "mean_audio" in context)
    if is_video_level:
        rgb = encode_frames(_mean(context, "mean_rgb", RGB_SIZE))
        audio = encode_frames(_mean(context, "mean_audio", AUDIO_SIZE))
        num_frames = 1
    else:
        rgb, rgb_frames = _frame_list(lists, "rgb", RGB_SIZE)
        audio, audio_frames = _frame_list(lists, "audio", AUDIO_SIZE)
        if rgb_frames != audio_frames:
            raise InvalidRecordError(
                "unequal_lengths", f"{rgb_frames} frames of rgb, {audio_frames} of audio"
            )
        if not rgb_frames:
            raise InvalidRecordError("no_frames", "rgb and audio are empty")
        num_frames = min(rgb_frames, MAX_FRAMES)
        if rgb_frames > MAX_FRAMES:
            rgb = rgb[: len(rgb) // rgb_frames * MAX_FRAMES]
            audio = audio[: len(audio) // audio_frames * MAX_FRAMES]
    return Parts(video_id, labels, num_frames, rgb, audio, edition, is_video_level)


def _parts(data: bytes) -> tuple[Any, dict[str, memoryview]]:
    """Returns the features of the context, and views of the serialised FeatureLists by name.

    An Example has the parts of a SequenceExample without feature lists: both have their Features in field 1.
    """
    context, lists = Features(), {}
    for number, content in byte_fields(memoryview(data)):
        if number == _CONTEXT:
            context.MergeFromString(content)
        elif number == _FEATURE_LISTS:
            for _, entry in byte_fields(content):
                fields = dict(byte_fields(entry))
                lists[str(fields.get(_KEY, b""), "utf-8")] = fields.get(_VALUE, memoryview(b""))
    return context.feature, lists


def _values(context: Any, name: str, kind: str) -> Sequence[Any]:
    feature = context[name]
    given = feature.WhichOneof("kind")
    if given not in (None, kind):
        raise InvalidRecordError("wrong_type", f"{name} is a {given}, not a {kind}")
    return getattr(feature, kind).value


def _edition(context: Any) -> Edition:
    if "id" in context:
        return Edition.OF_2019 if "segment_labels" in context else Edition.OF_2018
    return Edition.OF_2016 if "video_id" in context else Edition.OF_2018


_ID_NAMES = {Edition.OF_2016: "video_id", Edition.OF_2018: "id", Edition.OF_2019: "id"}


def _id(context: Any, name: str) -> bytes:
    if name not in context:
        raise InvalidRecordError("missing_feature", name)
    values = _values(context, name, "bytes_list")
    if not values or not values[0]:
        raise InvalidRecordError("missing_feature", f"{name} is empty")
    if len(values) > 1:
        raise InvalidRecordError("wrong_type", f"{name} has {len(values)} values, not 1")
    return values[0]


def _labels(context: Any, num_classes: int) -> tuple[int, ...]:
    if "labels" not in context:
        return ()
    labels = sorted(set(_values(context, "labels", "int64_list")))
    if labels and (labels[0] < 0 or labels[-1] >= num_classes):
        wrong = labels[0] if labels[0] < 0 else labels[-1]
        detail = f"label {wrong} is not in 0..{num_classes - 1}"
        if "video_id" in context:
            detail += "; the editions of 2016 and 2017 have 4800 and 4716 classes (data.num_classes)"
        raise InvalidRecordError("label_out_of_range", detail)
    return tuple(labels)


def _mean(context: Any, name: str, size: int) -> np.ndarray:
    """Returns a video-level feature as one frame, uint8 [1, size]."""
    if name not in context:
        raise InvalidRecordError("missing_feature", name)
    values = np.array(_values(context, name, "float_list"), np.float32)
    if values.size != size:
        raise InvalidRecordError("wrong_frame_length", f"{name} has {values.size} values, not {size}")
    if not np.isfinite(values).all():
        raise InvalidRecordError("not_finite", f"{name} has a value that is NaN or infinite")
    if np.abs(values).max() > MEAN_LIMIT:
        raise InvalidRecordError(
            "value_out_of_range", f"{name} has a value of magnitude {np.abs(values).max():g} > {MEAN_LIMIT}"
        )
    return quantize(values)[np.newaxis]


_ENTRIES = {size: frame_dtype(size) for size in (RGB_SIZE, AUDIO_SIZE)}
_PREFIXES = {size: frame_prefix(size) for size in (RGB_SIZE, AUDIO_SIZE)}


def _frame_list(lists: dict[str, memoryview], name: str, size: int) -> tuple[bytes | memoryview, int]:
    """Returns the serialised FeatureList `name` in its usual layout, and its number of frames of `size` bytes."""
    if name not in lists:
        raise InvalidRecordError("missing_feature", name)
    blob = lists[name]
    if len(blob) % _ENTRIES[size].itemsize == 0:
        # One comparison of all prefixes replaces an object for each frame. Only the usual layout passes it.
        entries = np.frombuffer(blob, _ENTRIES[size])
        if entries["prefix"].tobytes() == _PREFIXES[size] * len(entries):
            return blob, len(entries)
    message = FeatureList()
    try:
        message.ParseFromString(bytes(blob))
    except DecodeError as error:
        raise InvalidRecordError("not_an_example", f"{name} is no FeatureList") from error
    frames = []
    for index, feature in enumerate(message.feature):
        if feature.WhichOneof("kind") != "bytes_list" or len(feature.bytes_list.value) != 1:
            raise InvalidRecordError("wrong_type", f"frame {index} of {name} is not one byte string")
        frame = feature.bytes_list.value[0]
        if len(frame) != size:
            raise InvalidRecordError(
                "wrong_frame_length", f"frame {index} of {name} has {len(frame)} bytes, not {size}"
            )
        frames.append(frame)
    return encode_frame_values(frames), len(frames)
