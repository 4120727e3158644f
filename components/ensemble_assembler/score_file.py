"""Scores and labels of the eval split on disk, read a block of videos at a time.

They are files and not memory maps, since the pages of a map would count as the process's memory.

Legend: N videos, V classes.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trainer.base.full_disk import naming


@dataclass(frozen=True)
class ScoreFile:
    """A file that holds a matrix [videos, columns], row after row.

    Attributes:
        path: The local file.
        videos: Number of rows, N.
        columns: Number of columns, V.
        dtype: Type of the values, np.float32 or np.bool_.
    """

    path: str
    videos: int
    columns: int
    dtype: type

    @classmethod
    def write(cls, path: str, batches: Iterable[np.ndarray], columns: int, dtype: type) -> "ScoreFile":
        """Writes batches of shape [B, columns] one after the other."""
        videos = 0
        with naming(path), open(path, "wb") as file:
            for batch in batches:
                np.ascontiguousarray(batch, dtype).tofile(file)
                videos += len(batch)
        return cls(path, videos, columns, dtype)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Reads the rows from `start` to `stop` - 1, or to the last row where that comes before."""
        stop = min(stop, self.videos)
        row_bytes = self.columns * np.dtype(self.dtype).itemsize
        values = np.fromfile(self.path, self.dtype, (stop - start) * self.columns, offset=start * row_bytes)
        return values.reshape(stop - start, self.columns)


@dataclass(frozen=True)
class EvalScores:
    """The scores of all models on the eval split, and its labels.

    Attributes:
        scores: The probabilities of each model, float32 [N, V].
        labels: Whether a class is a label of a video, bool [N, V].
    """

    scores: tuple[ScoreFile, ...]
    labels: ScoreFile

    @property
    def videos(self) -> int:
        """Number of videos, N."""
        return self.labels.videos

    @property
    def num_classes(self) -> int:
        """Number of classes, V."""
        return self.labels.columns
