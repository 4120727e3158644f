"""Makes YT-8M SequenceExamples for tests, of any kind of wrongness."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from trainer.data import encoding
from trainer.data.records import read_parts
from trainer.data.tfrecord import write_tfrecords
from trainer.data.yt8m import ANY_CLASSES


def sequence_example(
    rgb: Sequence[bytes], audio: Sequence[bytes], labels: Sequence[int] = (), video_id: bytes = b"id00"
) -> bytes:
    """A serialised SequenceExample of these frames."""

    def bytes_feature(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def feature_list(values: Sequence[bytes]) -> tf.train.FeatureList:
        return tf.train.FeatureList(feature=[bytes_feature(value) for value in values])

    context = {
        "id": bytes_feature(video_id),
        "labels": tf.train.Feature(int64_list=tf.train.Int64List(value=labels)),
    }
    return tf.train.SequenceExample(
        context=tf.train.Features(feature=context),
        feature_lists=tf.train.FeatureLists(
            feature_list={"rgb": feature_list(rgb), "audio": feature_list(audio)}
        ),
    ).SerializeToString(deterministic=True)


def random_frames(generator: np.random.Generator, count: int) -> tuple[list[bytes], list[bytes]]:
    """rgb and audio of `count` random frames."""
    return [generator.bytes(1024) for _ in range(count)], [generator.bytes(128) for _ in range(count)]


def random_example(
    generator: np.random.Generator, frames: int, labels: Sequence[int] = (), video_id: bytes = b"id00"
) -> bytes:
    """A valid serialised SequenceExample of random frames."""
    return sequence_example(*random_frames(generator, frames), labels, video_id)


def write_shards(directory, *, shards: int, videos: int, num_classes: int, seed: int = 0) -> list[str]:
    """Writes `shards` files of `videos` learnable videos each: a label shows in the frames' mean."""
    generator = np.random.default_rng(seed)
    signatures = np.random.default_rng(99).integers(0, 256, (num_classes, 1152))
    paths = []
    for shard in range(shards):
        path = str(directory / f"data_tfrecord-{shard:05d}-of-{shards:05d}")
        with tf.io.TFRecordWriter(path) as writer:
            for video in range(videos):
                labels = sorted(set(generator.integers(0, num_classes, 2).tolist()))
                count = int(generator.integers(1, 6))
                noise = generator.normal(0, 20, (count, 1152))
                frames = np.clip(signatures[labels].mean(axis=0) + noise, 0, 255).astype(np.uint8)
                rgb = [frame[:1024].tobytes() for frame in frames]
                audio = [frame[1024:].tobytes() for frame in frames]
                writer.write(sequence_example(rgb, audio, labels, f"v{shard:02d}{video:04d}".encode()))
        paths.append(path)
    return paths


def rename_videos(directory: Path, prefix: bytes) -> None:
    """Puts a prefix before the ids of all videos in the files of a directory: those of two samples are the same."""
    for path in directory.iterdir():
        parts = [item[0] for item in read_parts(str(path), ANY_CLASSES)]
        write_tfrecords(
            str(path),
            [
                encoding.sequence_example(prefix + one.id, one.labels, bytes(one.rgb), bytes(one.audio))
                for one in parts
            ],
        )


def decoded(codes: np.ndarray) -> np.ndarray:
    """float32: what the bytes of a feature stand for (paper, Data)."""
    return (codes.astype(np.float64) * 4 / 255 + 4 / 512 - 2).astype(np.float32)
