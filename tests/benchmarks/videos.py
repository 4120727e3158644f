"""Files of random videos, and times that were taken in turns."""

import os
import time
from collections.abc import Callable, Mapping

import numpy as np

from trainer.base.errors import UserError
from trainer.data.encoding import encode_frames, sequence_example
from trainer.data.tfrecord import write_tfrecords
from trainer.data.yt8m import AUDIO_SIZE, NUM_CLASSES, RGB_SIZE


def check_videos(videos: int, shards: int, batch: int) -> None:
    """Raises UserError where the videos are too few for a batch, or for one video in each file."""
    if videos < (least := max(shards, batch)):
        raise UserError(
            f"--videos {videos} are too few for {shards} files and a batch of {batch}: give {least} or more"
        )


def write_videos(directory: str, shards: int, videos: int, frames: int, suffix: str = "") -> list[str]:
    """Writes `shards` files of `videos` random videos each and returns their paths; `suffix` may be `.gz`."""
    generator = np.random.default_rng(0)

    def example(index: int) -> bytes:
        labels = sorted(set(generator.integers(0, NUM_CLASSES, 3).tolist()))
        rgb, audio = (generator.integers(0, 256, (frames, size), np.uint8) for size in (RGB_SIZE, AUDIO_SIZE))
        return sequence_example(b"%04d" % index, labels, encode_frames(rgb), encode_frames(audio))

    paths = [os.path.join(directory, f"shard{shard:02d}.tfrecord{suffix}") for shard in range(shards)]
    for shard, path in enumerate(paths):
        write_tfrecords(path, (example(shard * videos + index) for index in range(videos)))
    return paths


def in_turns(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each in each round, after one that does not count; what else the machine does falls on all."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            begin = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - begin)
    return times
