"""The requests that a candidate has to answer, made of videos of the evaluation split."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from trainer.base.errors import UserError
from trainer.data.records import Video, read_videos
from trainer.data.yt8m import ANY_CLASSES

_logger = logging.getLogger("yt8m.model_server_validator")

BATCH_SIZE = 16
"""Of the bigger request: the largest batch that a server of ours is configured for."""

SCANNED = 1000
"""Videos among which the shortest and the longest are looked for: the whole split may be 100,000."""


@dataclass(frozen=True)
class Probe:
    """One request.

    Attributes:
        name: one, shortest, longest or batch.
        videos: In the order of the request.
    """

    name: str
    videos: tuple[Video, ...]


def choose_probes(files: Sequence[str]) -> list[Probe]:
    """A single video, the shortest, the longest, and a batch with both of them in it.

    Args:
        files: TFRecords of SequenceExamples.

    Raises:
        UserError: If there is no video in them.
    """
    videos: list[Video] = []
    for path in files:
        for item in read_videos(path, ANY_CLASSES):
            if isinstance(item, Video):
                videos.append(item)
            if len(videos) == SCANNED:
                break
        if len(videos) == SCANNED:
            break
    if not videos:
        raise UserError(
            "there is no video in the split eval to ask the model server about: give it more files"
        )
    shortest = min(videos, key=lambda video: video.num_frames)
    longest = max(videos, key=lambda video: video.num_frames)
    batch = (longest, shortest, *videos)[:BATCH_SIZE]
    return [
        Probe("one", (videos[0],)),
        Probe("shortest", (shortest,)),
        Probe("longest", (longest,)),
        Probe("batch", batch),
    ]
