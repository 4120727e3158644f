"""From TFRecord files to batches on the host, against reading the records alone.

    python -m tests.benchmarks.input_pipeline --rounds 5

The yardstick is tf.data.TFRecordDataset over the same files, plain or gzip.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator

import tensorflow as tf

from tests.benchmarks.figures import Figure, main
from tests.benchmarks.videos import in_turns, write_videos
from trainer.input_pipeline import eval_batches, train_batches

_SHARDS = 8


def figures(arguments: argparse.Namespace) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as place:
        for kind, suffix in (("plain", ""), ("gzip", ".gz")):
            directory = os.path.join(place, kind)
            os.mkdir(directory)
            files = write_videos(directory, _SHARDS, arguments.videos // _SHARDS, arguments.frames, suffix)
            yield from _figures(arguments, files, kind)


def _figures(arguments: argparse.Namespace, files: list[str], kind: str) -> Iterator[Figure]:
    training = iter(
        train_batches(
            files,
            batch_size=arguments.batch,
            frames_per_video=arguments.frames,
            seed=0,
            shuffle_buffer=2 * arguments.batch,
            files_per_group=_SHARDS,
        )
    )
    videos = arguments.videos
    raw = tf.data.TFRecordDataset(files, compression_type="GZIP" if kind == "gzip" else "")

    def train() -> None:
        for _ in range(videos // arguments.batch):
            next(training)

    turns = {
        "records alone": lambda: raw.reduce(0, lambda count, _: count + 1).numpy(),
        "training": train,
        "evaluation": lambda: [None for _ in eval_batches(files, arguments.batch)],
    }
    times = {name: statistics.median(each) for name, each in in_turns(turns, arguments.rounds).items()}
    alone = times.pop("records alone")
    for name, taken in times.items():
        yield Figure(
            name=f"{name} batches of {arguments.batch} x {arguments.frames} frames, uint8, {kind}",
            value=videos / taken,
            unit="videos/s",
            ratio=alone / taken,
            yardstick=f"reading the records alone, {videos / alone:,.0f} videos/s",
            goal=0.6,
        )


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--videos", type=int, default=640)
    parser.add_argument("--batch", type=int, default=80)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)


if __name__ == "__main__":
    main(__doc__, figures, _options)
