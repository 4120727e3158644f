"""YT-8M SequenceExamples to tensors, for training and evaluation; their frames' decoding for serving, too.

Legend: B videos, T frames, D bytes of a frame, V classes.
"""

from typing import NamedTuple

import tensorflow as tf

from trainer.yt8m import AUDIO_SIZE, MAX_FRAMES, RGB_SIZE


class ParsedExamples(NamedTuple):
    """A batch of SequenceExamples whose frames are still byte strings, as they stand in the records."""

    ids: tf.Tensor
    """string [B]."""
    labels: tf.SparseTensor
    """int64 [B, labels of the longest list]."""
    rgb: tf.Tensor
    """string [B, T], each of 1024 bytes; empty where a video has fewer frames."""
    audio: tf.Tensor
    """string [B, T'], each of 128 bytes."""
    rgb_frames: tf.Tensor
    """int64 [B]: frames of each video."""
    audio_frames: tf.Tensor
    """int64 [B]: equal to rgb_frames in a valid record."""


def parse_examples(examples: tf.Tensor) -> ParsedExamples:
    """Parses serialised SequenceExamples, string [B]. A missing feature gives an empty id, label or frame list."""
    context, sequences, lengths = tf.io.parse_sequence_example(
        examples,
        context_features={
            "id": tf.io.FixedLenFeature([], tf.string, default_value=""),
            "labels": tf.io.VarLenFeature(tf.int64),
        },
        sequence_features={
            "rgb": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True),
            "audio": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True),
        },
    )
    return ParsedExamples(
        ids=context["id"],
        labels=context["labels"],
        rgb=sequences["rgb"],
        audio=sequences["audio"],
        rgb_frames=lengths["rgb"],
        audio_frames=lengths["audio"],
    )


def decode_frames(rgb: tf.Tensor, audio: tf.Tensor) -> tf.Tensor:
    """Byte strings [B, T] of both features to uint8 [B, T, 1152]; an empty string becomes zeros."""
    return tf.concat(
        [
            tf.io.decode_raw(rgb, tf.uint8, fixed_length=RGB_SIZE),
            tf.io.decode_raw(audio, tf.uint8, fixed_length=AUDIO_SIZE),
        ],
        axis=-1,
    )


class DecodedVideo(NamedTuple):
    """One video, cut to its first 300 frames."""

    id: tf.Tensor
    """string, scalar."""
    labels: tf.Tensor
    """bool [V]."""
    rgb: tf.Tensor
    """uint8 [T, 1024]."""
    audio: tf.Tensor
    """uint8 [T, 128]."""


def decode_video(record: tf.Tensor, num_classes: int) -> DecodedVideo:
    """A valid serialised SequenceExample, string scalar."""
    parsed = parse_examples(record[tf.newaxis])
    labels = tf.scatter_nd(
        parsed.labels.values[:, tf.newaxis], tf.ones_like(parsed.labels.values), [num_classes]
    )
    return DecodedVideo(
        id=parsed.ids[0],
        labels=labels > 0,  # one that is named twice counts once
        rgb=tf.io.decode_raw(parsed.rgb[0, :MAX_FRAMES], tf.uint8, fixed_length=RGB_SIZE),
        audio=tf.io.decode_raw(parsed.audio[0, :MAX_FRAMES], tf.uint8, fixed_length=AUDIO_SIZE),
    )
