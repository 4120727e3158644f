"""YT-8M SequenceExamples to tensors, a batch at a time, for training and evaluation.

Legend: B videos, T frames, D bytes of a frame, V classes.
"""

from typing import NamedTuple

import tensorflow as tf

from trainer.yt8m import AUDIO_SIZE, RGB_SIZE


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


def label_matrix(labels: tf.SparseTensor, batch_size: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Label lists to bool [B, V]. A label named twice counts once."""
    indices = tf.stack([labels.indices[:, 0], labels.values], axis=1)
    empty = tf.zeros([tf.cast(batch_size, tf.int64), num_classes], tf.bool)
    return tf.tensor_scatter_nd_update(empty, indices, tf.ones_like(labels.values, tf.bool))
