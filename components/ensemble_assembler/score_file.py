"""Scores and labels of the eval split on disk, read a block of videos at a time.

Files rather than memory maps, whose pages would count as the process's memory.

Legend: N videos, V classes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trainer.base.full_disk import naming


@dataclass(frozen=True)
class ScoreFile:
    """A matrix [videos, columns] of one type, row after row."""

    path: str
    videos: int
    columns: int
    dtype: type

    @classmethod
    def write(cls, path: str, batches: Iterable[np.ndarray], columns: int, dtype: type) -> "ScoreFile":
        """Writes batches [B, columns] one after the other."""
        videos = 0
        with naming(path), open(path, "wb") as file:
            for batch in batches:
                np.ascontiguousarray(batch, dtype).tofile(file)
                videos += len(batch)
        return cls(path, videos, columns, dtype)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows start to stop - 1, or up to the last one."""
        stop = min(stop, self.videos)
        row_bytes = self.columns * np.dtype(self.dtype).itemsize
        values = np.fromfile(self.path, self.dtype, (stop - start) * self.columns, offset=start * row_bytes)
        return values.reshape(stop - start, self.columns)


@dataclass(frozen=True)
class EvalScores:
    """What the search is about.

    Attributes:
        scores: float32 [N, V] of each model.
        labels: bool [N, V].
    """

    scores: tuple[ScoreFile, ...]
    labels: ScoreFile

    @property
    def videos(self) -> int:
        """N."""
        return self.labels.videos

    @property
    def num_classes(self) -> int:
        """V."""
        return self.labels.columns
