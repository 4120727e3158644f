"""Frames as bytes: the 8-bit code of the features, and the layout of a SequenceExample.

Legend: T frames, D bytes of a frame of one feature.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from trainer.data.messages import Example, Feature, FeatureList, SequenceExample

SCALE = 4 / 255
OFFSET = 4 / 512 - 2
"""A byte x stands for x * SCALE + OFFSET (paper, Data)."""


def quantise(values: np.ndarray) -> np.ndarray:
    """Floats in about [-2, 2] to the nearest of the 256 codes, uint8, of the same shape."""
    codes = np.rint((np.asarray(values, np.float64) - OFFSET) / SCALE)
    return np.clip(codes, 0, 255).astype(np.uint8)


def dequantise(codes: np.ndarray) -> np.ndarray:
    """What the bytes stand for: float32 of the same shape."""
    return (np.asarray(codes, np.float64) * SCALE + OFFSET).astype(np.float32)


def frame_prefix(size: int) -> bytes:
    """What stands before each frame of `size` bytes in the usual serialised FeatureList: tags and lengths."""
    return _feature_list([bytes(size)])[:-size]


def frame_dtype(size: int) -> np.dtype:
    """One entry of such a FeatureList: `prefix`, and `frame` of `size` bytes.

    As opaque bytes: a copy of such an element is one call of memcpy.
    """
    return np.dtype([("prefix", f"V{len(frame_prefix(size))}"), ("frame", f"V{size}")])


def encode_frames(frames: np.ndarray) -> bytes:
    """uint8 [T, D] to the serialised FeatureList of T byte strings."""
    prefix = np.frombuffer(frame_prefix(frames.shape[1]), np.uint8)
    return np.concatenate(
        [np.broadcast_to(prefix, (frames.shape[0], prefix.size)), np.ascontiguousarray(frames, np.uint8)],
        axis=1,
    ).tobytes()


def encode_frame_values(values: Iterable[bytes]) -> bytes:
    """Byte strings, one a frame, to the serialised FeatureList."""
    return _feature_list(values)


def sequence_example(video_id: bytes, labels: Sequence[int], rgb: bytes, audio: bytes) -> bytes:
    """A frame-level record from its parts.

    Args:
        video_id: The feature "id".
        labels: The feature "labels".
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
    """A light tf.Example {id, labels, num_frames}: what statistics are computed from."""
    message = Example()
    message.features.feature["id"].bytes_list.value.append(video_id)
    if labels:
        message.features.feature["labels"].int64_list.value.extend(labels)
    message.features.feature["num_frames"].int64_list.value.append(num_frames)
    return message.SerializeToString(deterministic=True)


def _feature_list(values: Iterable[bytes]) -> bytes:
    message = FeatureList()
    for value in values:
        feature = Feature()
        feature.bytes_list.value.append(value)
        message.feature.append(feature)
    return message.SerializeToString(deterministic=True)
