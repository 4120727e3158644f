"""The labels of videos as arrays.

Legend: B videos, V classes.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Labelled(Protocol):
    """An object that has the labels of a video.

    Attributes:
        labels: Numbers of classes, from 0 to V - 1.
    """

    labels: Sequence[int]


class Identified(Labelled, Protocol):
    """An object that has the id of a video as well.

    Attributes:
        id: Id of the video.
    """

    id: bytes


def label_rows(videos: Sequence[Labelled], num_classes: int) -> np.ndarray:
    """Returns bool [B, V]: for each video and class, whether the class is a label of the video."""
    rows = np.zeros((len(videos), num_classes), np.bool_)
    for row, video in zip(rows, videos, strict=True):
        row[list(video.labels)] = True
    return rows
