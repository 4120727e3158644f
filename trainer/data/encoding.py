"""Frames as bytes: the 8-bit code of the features, and the layout of a SequenceExample.

Legend: T frames, D bytes of a frame of one feature.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from trainer.data.messages import Example, Feature, FeatureList, SequenceExample
from trainer.data.yt8m import CODE_OFFSET, CODE_SCALE


def quantize(values: np.ndarray) -> np.ndarray:
    """Turns floats in about [-2, 2] into the nearest of the 256 codes: uint8 of the same shape."""
    codes = np.rint((np.asarray(values, np.float64) - CODE_OFFSET) / CODE_SCALE)
    return np.clip(codes, 0, 255).astype(np.uint8)


def frame_prefix(size: int) -> bytes:
    """Returns the tags and lengths that stand before each frame of `size` bytes in the usual serialised FeatureList."""
    return _feature_list([bytes(size)])[:-size]


def frame_dtype(size: int) -> np.dtype:
    """Returns the type of one entry of a serialised FeatureList: its `prefix`, and its `frame` of `size` bytes.

    Both are opaque bytes, so that a copy of an element is one call of memcpy.
    """
    return np.dtype([("prefix", f"V{len(frame_prefix(size))}"), ("frame", f"V{size}")])


def encode_frames(frames: np.ndarray) -> bytes:
    """Serialises frames, uint8 [T, D], as a FeatureList of T byte strings."""
    prefix = np.frombuffer(frame_prefix(frames.shape[1]), np.uint8)
    return np.concatenate(
        [np.broadcast_to(prefix, (frames.shape[0], prefix.size)), np.ascontiguousarray(frames, np.uint8)],
        axis=1,
    ).tobytes()


def encode_frame_values(values: Iterable[bytes]) -> bytes:
    """Serialises byte strings, one for each frame, as a FeatureList."""
    return _feature_list(values)


def sequence_example(video_id: bytes, labels: Sequence[int], rgb: bytes, audio: bytes) -> bytes:
    """Makes a frame-level record from its parts.

    Args:
        video_id: Id of the video.
        labels: Numbers of the classes that are its labels; empty where they are not known.
        rgb: Serialised FeatureList of 1024-byte frames.
        audio: Serialised FeatureList of 128-byte frames.

    Returns:
        The serialised SequenceExample; the same parts always give the same bytes.
    """
    message = SequenceExample()
    message.context.feature["id"].bytes_list.value.append(video_id)
    # SetInParent: without labels (a test file) the feature still stands there, as an empty list.
    message.context.feature["labels"].int64_list.SetInParent()
    message.context.feature["labels"].int64_list.value.extend(labels)
    message.feature_lists.feature_list["rgb"] = rgb
    message.feature_lists.feature_list["audio"] = audio
    return message.SerializeToString(deterministic=True)


def summary_example(video_id: bytes, labels: Sequence[int], num_frames: int) -> bytes:
    """Makes a small tf.Example {id, labels, num_frames}, from which statistics are computed."""
    message = Example()
    message.features.feature["id"].bytes_list.value.append(video_id)
    if labels:
        message.features.feature["labels"].int64_list.value.extend(labels)
    message.features.feature["num_frames"].int64_list.value.append(num_frames)
    return message.SerializeToString(deterministic=True)


def parse_summary(data: bytes) -> tuple[bytes, tuple[int, ...], int]:
    """Returns id, labels and number of frames of what `summary_example` made."""
    feature = Example.FromString(data).features.feature
    (video_id,), (num_frames,) = feature["id"].bytes_list.value, feature["num_frames"].int64_list.value
    return video_id, tuple(feature["labels"].int64_list.value), num_frames


def _feature_list(values: Iterable[bytes]) -> bytes:
    message = FeatureList()
    for value in values:
        feature = Feature()
        feature.bytes_list.value.append(value)
        message.feature.append(feature)
    return message.SerializeToString(deterministic=True)
