"""Makes a synthetic data set in the exact format of YouTube-8M's frame level, learnable and small enough for a laptop.

Every class has a signature, a random direction in feature space. A frame shows its video's labels in random
proportions, on top of a background of the video's own and noise of the frame's own. Class frequencies fall
like those of YouTube-8M: a few common classes, a long tail of rare ones (Zipf-Mandelbrot). So a network must
find the signatures, cannot win by guessing the common classes, and cannot be perfect, because the tail is
hardly ever seen.

With `order`, the videos are of another kind: each shows the same four signatures one after the other, and its only
label says in which order. So what looks at frames one by one, or at their mean, can do nothing but guess.

Legend: T frames, D = 1152 features of a frame, V classes, L labels of a video.
"""

import itertools
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from trainer.base.addresses import check_address
from trainer.base.directories import write_problem
from trainer.base.directory_lock import only_writer
from trainer.base.errors import UserError
from trainer.base.files import exists, is_local, list_names, make_dirs, open_file
from trainer.base.units import MIB
from trainer.base.whole import whole_file
from trainer.data.encoding import encode_frames, quantize, sequence_example
from trainer.data.tfrecord import write_tfrecords
from trainer.data.yt8m import FRAME_SIZE, MAX_FRAMES, NUM_CLASSES, RGB_SIZE

_MORE_LABELS = 2.0
"""Mean number of labels after the first; YouTube-8M has about 3.0 labels a video."""
_ZIPF_SHIFT, _ZIPF_POWER = 30.0, 2.5
"""The commonest class is on about one video in eight, as in YouTube-8M."""
_SIGNAL, _BACKGROUND, _NOISE = 0.5, 0.35, 0.5
"""Standard deviations, in units of the dequantized features, of signatures, background and noise."""
_ORDERS = tuple(itertools.permutations(range(4)))
"""The 24 orders of four signatures; the place in this list is the label."""


def write_sample(
    directory: str,
    *,
    train_videos: int = 2400,
    validate_videos: int = 800,
    shards: int = 8,
    seed: int = 0,
    min_frames: int = 4,
    max_frames: int = 16,
    num_classes: int = NUM_CLASSES,
    order: bool = False,
) -> list[str]:
    """Writes `train0000.tfrecord`, ... and `validate0000.tfrecord`, ... and returns their paths.

    Args:
        directory: Directory of the files, local or in a bucket; made when it is missing. Those of an earlier
            sample are replaced.
        train_videos: Videos in the train shards.
        validate_videos: Videos in the validate shards.
        shards: Files of each of the two kinds.
        seed: Seed of all that is random, 0 or more. The same arguments give the same bytes.
        min_frames: Shortest video, in frames.
        max_frames: Longest video, at most 300.
        num_classes: V, at least 20.
        order: Make videos of labels 0 to 23, which only the order of frames tells apart.

    Raises:
        UserError: The numbers do not fit each other, the directory cannot be made, its disk has no room for the
            sample, a file of one of these names is there that is no sample's, an earlier sample had more shards, or
            another process is writing one there.
    """
    _check(train_videos, validate_videos, shards, min_frames, max_frames, num_classes)
    if order:
        _check_order(min_frames, num_classes)
    world = _OrderedWorld.of(seed) if order else _MixedWorld.of(seed, num_classes)
    check_address(directory, "directory")
    _check_room(directory, (train_videos + validate_videos) * (min_frames + max_frames) // 2 * FRAME_SIZE)
    if is_local(directory) and (problem := write_problem(directory)):
        raise UserError(f"cannot write to {directory}: {problem}; name another directory")
    make_dirs(directory)
    kinds = (("train", train_videos), ("validate", validate_videos))
    for name, _ in kinds:
        for shard in range(shards):
            _check_ours(os.path.join(directory, f"{name}{shard:04d}.tfrecord"), f"{name[0]}{shard:04d}")
    _check_no_more_shards(directory, shards)
    paths = []
    with only_writer(directory, directory):
        for (kind, (name, videos)), shard in itertools.product(enumerate(kinds), range(shards)):
            # A generator a shard: a shard's bytes do not depend on how the others were written.
            generator = np.random.default_rng((seed, kind, shard))
            count = videos // shards + (shard < videos % shards)
            path = os.path.join(directory, f"{name}{shard:04d}.tfrecord")
            prefix = f"{name[0]}{shard:04d}"
            with whole_file(path) as unfinished:
                write_tfrecords(unfinished, _videos(world, generator, count, prefix, min_frames, max_frames))
            paths.append(path)
    return paths


def _check(
    train_videos: int, validate_videos: int, shards: int, min_frames: int, max_frames: int, num_classes: int
) -> None:
    if shards < 1 or min(train_videos, validate_videos) < shards:
        raise UserError(
            f"a sample needs at least one video a shard. Received: {train_videos} train videos, "
            f"{validate_videos} validate videos, {shards} shards of each; ask for fewer shards or more videos"
        )
    if not 1 <= min_frames <= max_frames <= MAX_FRAMES:
        raise UserError(
            f"frames of the videos: the least must be 1 or more, and no more than the most, which is at most "
            f"{MAX_FRAMES}. Received: {min_frames} to {max_frames}"
        )
    if num_classes < 20:
        raise UserError(f"a sample has at least 20 classes. Received: {num_classes}; ask for more")


def _check_room(directory: str, size: int) -> None:
    if not is_local(directory):
        return
    path = Path(directory).absolute()
    there = next(place for place in (path, *path.parents) if place.exists())
    if size > (free := shutil.disk_usage(there).free):
        raise UserError(
            f"{directory}: the sample would take about {size // MIB:,} MiB, and {free // MIB:,} MiB are free there; "
            "ask for fewer or shorter videos, or name another directory"
        )


def _check_ours(path: str, prefix: str) -> None:
    """Raises UserError if a file stands at the place of a shard that an earlier sample has not written there."""
    if not exists(path):
        return
    with open_file(path, "rb") as file:
        head = file.read(1000)
    if head and prefix.encode() not in head:
        raise UserError(f"{path} is there, and is no file of a sample: remove it, or name another directory")


def _check_no_more_shards(directory: str, shards: int) -> None:
    """Raises UserError if an earlier sample has shards that would stay beside the new ones."""
    for name in sorted(list_names(directory)):
        found = re.fullmatch(r"(?:train|validate)(\d{4})\.tfrecord", name)
        if found and int(found[1]) >= shards:
            raise UserError(
                f"{os.path.join(directory, name)} is there, of an earlier sample with more than {shards} shards, whose "
                "videos would be mixed with the new ones: remove it, or name another directory"
            )


def _check_order(min_frames: int, num_classes: int) -> None:
    shown = len(_ORDERS[0])
    if min_frames < shown:
        raise UserError(
            f"a video of a sample with an order has at least {shown} frames, one for each part. Received: "
            f"{min_frames} as the fewest; choose more"
        )
    if num_classes < len(_ORDERS):
        raise UserError(
            f"a sample with an order has at least {len(_ORDERS)} classes. Received: {num_classes}; ask for more"
        )


class _World(Protocol):
    """What all videos share."""

    def labels(self, generator: np.random.Generator) -> np.ndarray:
        """Draws the labels of a video, int64 [L], ascending and different."""

    def signal(self, generator: np.random.Generator, labels: np.ndarray, num_frames: int) -> np.ndarray:
        """Draws float32 [T, D]: what the frames of a video of these labels show, of standard deviation 1."""


@dataclass(frozen=True)
class _MixedWorld:
    """Frames that show all labels of their video, in random proportions."""

    signatures: np.ndarray = field(repr=False)
    """float32 [V, D], standard normal."""
    frequencies: np.ndarray = field(repr=False)
    """float64 [V], sum 1."""

    @classmethod
    def of(cls, seed: int, num_classes: int) -> "_MixedWorld":
        signatures = _signatures(seed, num_classes)
        weights = (np.arange(num_classes) + 1 + _ZIPF_SHIFT) ** -_ZIPF_POWER
        return cls(signatures, weights / weights.sum())

    def labels(self, generator: np.random.Generator) -> np.ndarray:
        """See `_World`."""
        wanted = min(1 + generator.poisson(_MORE_LABELS), 12)
        labels = generator.choice(len(self.frequencies), size=wanted, replace=False, p=self.frequencies)
        return np.sort(labels)

    def signal(self, generator: np.random.Generator, labels: np.ndarray, num_frames: int) -> np.ndarray:
        """See `_World`."""
        # Root of a Dirichlet: the signal of a frame has the same strength whatever the number of labels.
        proportions = np.sqrt(generator.dirichlet(np.ones(len(labels)), size=num_frames)).astype(np.float32)
        return proportions @ self.signatures[labels]


@dataclass(frozen=True)
class _OrderedWorld:
    """Videos of as many parts as there are signatures, each of which shows another one; the label is their order."""

    signatures: np.ndarray = field(repr=False)
    """float32 [4, D], standard normal."""

    @classmethod
    def of(cls, seed: int) -> "_OrderedWorld":
        return cls(_signatures(seed, len(_ORDERS[0])))

    def labels(self, generator: np.random.Generator) -> np.ndarray:
        """See `_World`."""
        return generator.integers(len(_ORDERS), size=1)

    def signal(self, generator: np.random.Generator, labels: np.ndarray, num_frames: int) -> np.ndarray:
        """See `_World`."""
        (label,) = labels
        # Where a part ends says nothing of the label.
        ends = np.sort(generator.choice(num_frames - 1, size=len(self.signatures) - 1, replace=False)) + 1
        parts = np.searchsorted(ends, np.arange(num_frames), side="right")
        return self.signatures[np.array(_ORDERS[label])[parts]]


def _signatures(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, 2)).standard_normal((count, FRAME_SIZE), np.float32)


def _videos(
    world: _World, generator: np.random.Generator, count: int, prefix: str, min_frames: int, max_frames: int
) -> Iterator[bytes]:
    for index in range(count):
        labels = world.labels(generator)
        num_frames = int(generator.integers(min_frames, max_frames, endpoint=True))
        frames = quantize(_with_noise(world.signal(generator, labels, num_frames), generator))
        yield sequence_example(
            f"{prefix}{index:05d}".encode(),
            labels.tolist(),
            encode_frames(frames[:, :RGB_SIZE]),
            encode_frames(frames[:, RGB_SIZE:]),
        )


def _with_noise(signal: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """float32 [T, D] in the units of the dequantized features."""
    background = generator.standard_normal((1, FRAME_SIZE), np.float32)
    noise = generator.standard_normal((len(signal), FRAME_SIZE), np.float32)
    return _SIGNAL * signal + _BACKGROUND * background + _NOISE * noise
