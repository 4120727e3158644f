"""Scores of a SavedModel of ours on YT-8M files as they are, frame level or video level.

Legend: B videos, V classes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from serving.card import ModelCard
from serving.ordered_map import ordered_map
from trainer.prefetch import prefetch
from trainer.records import Reject, Video, read_videos

_AT_ONCE = 2
"""Batches that are scored at the same time."""

_Batch = tuple[list[Video], list[Reject]]


class SavedModelScorer:
    """A loaded SavedModel of ours.

    Args:
        directory: That holds saved_model.pb.

    Raises:
        UserError: If it is not a model of ours.
    """

    def __init__(self, directory: str) -> None:
        self.card = ModelCard.load(directory)
        self._model = tf.saved_model.load(directory)
        self._predictions = self._model.signatures["predictions"]

    def scores(self, examples: Sequence[bytes]) -> np.ndarray:
        """float32 [B, V] of serialised SequenceExamples."""
        return self._predictions(examples=tf.constant(list(examples)))["predictions"].numpy()


def score_videos(
    scorer: SavedModelScorer,
    files: Iterable[str],
    batch_size: int = 64,
    on_reject: Callable[[Reject], None] = lambda reject: None,
) -> Iterator[tuple[list[Video], np.ndarray]]:
    """Batches of videos with their scores, float32 [B, V], in the order of the files.

    The next batches are read while two are scored: TensorFlow takes one apart on a single core, and works on the
    other's products beside that.

    Args:
        scorer: Of the model.
        files: TFRecord files, plain or gzip.
        batch_size: B; the last batch may be smaller.
        on_reject: Receives each record that cannot be scored; the others are.
    """
    batches = prefetch(_batches(files, scorer.card.num_classes, batch_size))

    def score(batch: _Batch) -> np.ndarray | None:
        videos, _ = batch
        return scorer.scores([video.sequence_example for video in videos]) if videos else None

    for (videos, rejects), scores in ordered_map(score, batches, _AT_ONCE):
        for reject in rejects:
            on_reject(reject)
        if scores is not None:
            yield videos, scores


def _batches(files: Iterable[str], num_classes: int, batch_size: int) -> Iterator[_Batch]:
    """Videos, B at a time, and what was rejected before the last of them."""
    videos: list[Video] = []
    rejects: list[Reject] = []
    for path in files:
        for item in read_videos(path, num_classes):
            if isinstance(item, Reject):
                rejects.append(item)
                continue
            videos.append(item)
            if len(videos) == batch_size:
                yield videos, rejects
                videos, rejects = [], []
    yield videos, rejects


def label_rows(videos: Sequence[Video], num_classes: int) -> np.ndarray:
    """bool [B, V]: the labels of each video."""
    rows = np.zeros((len(videos), num_classes), bool)
    for row, video in zip(rows, videos, strict=True):
        row[list(video.labels)] = True
    return rows
