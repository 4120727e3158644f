"""tf.data pipelines over the frame-level SequenceExamples that ExampleGen writes.

Frames stay uint8, a quarter of what float32 would take, up to the device. Videos are decoded one by one and then
batched: the byte strings of a batch's 24,000 frames at once would be fresh memory for each batch, and the page faults
take as long as all the rest.

Legend: B videos, T frames, D = 1152 bytes of a frame, V classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from trainer.parsing import decode_video
from trainer.yt8m import NUM_CLASSES

_PARALLEL_FILES = 16


def _records(files: tf.Tensor | Sequence[str]) -> tf.data.Dataset:
    """Records of plain or gzip files (by their ending), one file after the other."""
    files = tf.data.Dataset.from_tensor_slices(files)
    return files.interleave(_open, cycle_length=1)


def _open(path: tf.Tensor) -> tf.data.Dataset:
    gzip = tf.strings.regex_full_match(path, r".*\.gz")
    return tf.data.TFRecordDataset(path, compression_type=tf.where(gzip, "GZIP", ""))


def eval_batches(
    files: Sequence[str], batch_size: int, num_classes: int = NUM_CLASSES, limit: int | None = None
) -> tf.data.Dataset:
    """All real frames of every video, in the order of the files.

    Args:
        files: TFRecord files of valid SequenceExamples.
        batch_size: B; the last batch may be smaller.
        num_classes: V.
        limit: Take only the first so many videos.

    Returns:
        Dataset of {id: string [B], labels: bool [B, V], frames: uint8 [B, T, D], num_frames: int32 [B]}, T the
        longest video of the batch and at most 300.
    """

    def decode(record: tf.Tensor) -> dict[str, tf.Tensor]:
        video = decode_video(record, num_classes)
        return {
            "id": video.id,
            "labels": video.labels,
            "frames": tf.concat([video.rgb, video.audio], axis=1),
            "num_frames": tf.shape(video.rgb)[0],
        }

    records = _records(list(files))
    if limit is not None:
        records = records.take(limit)
    videos = records.map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return videos.padded_batch(batch_size).prefetch(2)


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
) -> tf.data.Dataset:
    """An endless stream of shuffled batches, a function of the seed alone, which can start anywhere in it.

    An epoch is a seeded permutation of the files, cut into groups. The records of a group's files are interleaved and
    shuffled, with no buffer across groups; a run that goes on therefore skips within one group, not within an epoch.

    Args:
        files: TFRecord files of valid SequenceExamples.
        batch_size: B; every batch is full.
        frames_per_video: T frames are drawn at random, with replacement, from each video's real ones (at most its
            first 300), as the paper trains.
        seed: Of the order and of the frames.
        shuffle_buffer: Records held for shuffling.
        files_per_group: Files that are mixed with each other.
        num_classes: V.
        start: The `position` of the last record that was used, plus one.
        start_step: Steps done so far; frames are drawn by (seed, number of the video in the stream).

    Returns:
        Dataset of {labels: bool [B, V], frames: uint8 [B, T, D], position: int64 [B, 3] (epoch, group, index of the
        record)}.
    """
    start = start or Position()
    order = sorted(files)

    def groups() -> Iterator[tuple[int, int, list[str], int, int]]:
        epoch, first, offset = start.epoch, start.group, start.offset
        while True:
            generator = np.random.default_rng((seed, epoch))
            permuted = [order[i] for i in generator.permutation(len(order))]
            count = -(-len(permuted) // files_per_group)
            shuffle_seeds = generator.integers(1, 2**62, size=count)
            for group in range(first, count):
                chosen = permuted[group * files_per_group : (group + 1) * files_per_group]
                yield epoch, group, chosen, offset, int(shuffle_seeds[group])
                offset = 0
            epoch, first = epoch + 1, 0

    def read_group(
        epoch: tf.Tensor, group: tf.Tensor, chosen: tf.Tensor, offset: tf.Tensor, shuffle_seed: tf.Tensor
    ) -> tf.data.Dataset:
        records = tf.data.Dataset.from_tensor_slices(chosen).interleave(
            _open, cycle_length=_PARALLEL_FILES, block_length=4, num_parallel_calls=2, deterministic=True
        )
        records = records.shuffle(shuffle_buffer, seed=shuffle_seed, reshuffle_each_iteration=False)
        place = tf.data.Dataset.from_tensors(tf.stack([epoch, group])).repeat()
        return tf.data.Dataset.zip(place, records.enumerate().skip(offset))

    def decode(count: tf.Tensor, item: tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]) -> dict[str, tf.Tensor]:
        place, (index, record) = item
        video = decode_video(record, num_classes)
        real = tf.cast(tf.shape(video.rgb)[0], tf.float64)
        draws = tf.random.stateless_uniform([frames_per_video], seed=[seed, count], dtype=tf.float64)
        chosen = tf.cast(draws * real, tf.int32)
        return {
            "labels": video.labels,
            "frames": tf.concat([tf.gather(video.rgb, chosen), tf.gather(video.audio, chosen)], axis=1),
            "position": tf.concat([place, index[tf.newaxis]], axis=0),
        }

    signature = (
        tf.TensorSpec([], tf.int64),
        tf.TensorSpec([], tf.int64),
        tf.TensorSpec([None], tf.string),
        tf.TensorSpec([], tf.int64),
        tf.TensorSpec([], tf.int64),
    )
    stream = tf.data.Dataset.from_generator(groups, output_signature=signature).flat_map(read_group)
    return (
        stream.enumerate(start_step * batch_size)
        .map(decode, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size, drop_remainder=True)
        .prefetch(2)
    )
