"""Checks inside the served graph: a request that cannot be scored is refused with the number of its first bad row.

TensorFlow Serving checks neither shapes nor records, so what is not checked here would be answered with nonsense or
with the error of some inner kernel. A failed check is an INVALID_ARGUMENT on every server.

Legend: B videos, T frames.
"""

from typing import NamedTuple

import tensorflow as tf

from trainer.data.yt8m import AUDIO_SIZE, MAX_FRAMES, RGB_SIZE


class RequestedVideos(NamedTuple):
    """Records of a request whose frames are still byte strings."""

    rgb: tf.Tensor
    """string [B, T], at most the first 300 frames; empty where a video has fewer."""
    audio: tf.Tensor
    """The same."""
    rgb_frames: tf.Tensor
    """int64 [B]: frames of each video, all of them."""
    audio_frames: tf.Tensor
    """int64 [B]."""


def parse_request(examples: tf.Tensor) -> RequestedVideos:
    """Parses serialised SequenceExamples from anybody, string [B], into memory in proportion to their bytes.

    Dense features would pad all videos to the longest: a record of a million empty frames, 4 MB, would make gigabytes
    of a batch.
    """
    _, lists, _ = tf.io.parse_sequence_example(
        examples, sequence_features={name: tf.io.RaggedFeature(tf.string) for name in ("rgb", "audio")}
    )
    (rgb, rgb_frames), (audio, audio_frames) = (_first_frames(lists[name], name) for name in ("rgb", "audio"))
    return RequestedVideos(rgb, audio, rgb_frames, audio_frames)


def check_examples(parsed: RequestedVideos) -> list[tf.Operation]:
    """Assertions that every row has frames, as many of rgb as of audio, each of the right length."""
    return [
        _check(parsed.rgb_frames > 0, "the video has no frames (feature list rgb)"),
        _check(
            tf.equal(parsed.rgb_frames, parsed.audio_frames), "rgb and audio differ in their number of frames"
        ),
        _check(
            _lengths_are(parsed.rgb, parsed.rgb_frames, RGB_SIZE), f"a frame of rgb has not {RGB_SIZE} bytes"
        ),
        _check(
            _lengths_are(parsed.audio, parsed.audio_frames, AUDIO_SIZE),
            f"a frame of audio has not {AUDIO_SIZE} bytes",
        ),
    ]


def check_frames(rgb: tf.Tensor, audio: tf.Tensor, num_frames: tf.Tensor) -> list[tf.Operation]:
    """Assertions that three dense inputs belong together."""
    rgb_shape, audio_shape, count_shape = tf.shape(rgb), tf.shape(audio), tf.shape(num_frames)
    alike = tf.debugging.Assert(
        tf.reduce_all(tf.equal(rgb_shape[:2], audio_shape[:2])) & tf.equal(rgb_shape[0], count_shape[0]),
        [
            "rgb, audio and num_frames must agree in batch and frames. Received:",
            rgb_shape,
            audio_shape,
            count_shape,
        ],
    )
    sizes = tf.debugging.Assert(
        tf.equal(rgb_shape[2], RGB_SIZE) & tf.equal(audio_shape[2], AUDIO_SIZE),
        [f"a frame has {RGB_SIZE} rgb and {AUDIO_SIZE} audio values. Received:", rgb_shape, audio_shape],
    )
    with tf.control_dependencies([alike, sizes]):
        in_range = (num_frames > 0) & (num_frames <= rgb_shape[1])
    return [alike, sizes, _check(in_range, "num_frames must be between 1 and the frames given")]


def _first_frames(values: tf.RaggedTensor, name: str) -> tuple[tf.Tensor, tf.Tensor]:
    """string [B, T] and int64 [B] of string [B, (frames), (values of a frame)]."""
    is_one = values.with_values(tf.equal(values.values.row_lengths(), 1))
    with tf.control_dependencies(
        [_check(tf.reduce_all(is_one, axis=1), f"a frame of {name} is not one byte string")]
    ):
        frames = values.with_values(tf.identity(values.flat_values))
    return frames[:, :MAX_FRAMES].to_tensor(""), frames.row_lengths()


def _lengths_are(frames: tf.Tensor, count: tf.Tensor, size: int) -> tf.Tensor:
    """bool [B]: whether each used frame of the row, string [B, T], has so many bytes."""
    used = tf.sequence_mask(count, tf.shape(frames)[1])
    return tf.reduce_all(tf.equal(tf.strings.length(frames), size) | ~used, axis=1)


def _check(rows_are_good: tf.Tensor, problem: str) -> tf.Operation:
    """One assertion over bool [B]."""
    first_bad = tf.where(~rows_are_good)[:1, 0]  # Empty where all are good, also for a batch of none.
    return tf.debugging.Assert(tf.reduce_all(rows_are_good), [f"{problem} in row", first_bad])
