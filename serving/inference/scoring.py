"""Scores of a SavedModel of ours on YT-8M files as they are, frame level or video level.

Legend: B videos, V classes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from serving.export.card import ModelCard
from serving.export.saved_model import FRAME_PREDICTIONS
from serving.inference.ordered_map import ordered_map
from serving.store.whole_model import load_model
from trainer.base.prefetch import prefetch
from trainer.data.encoding import frame_dtype
from trainer.data.records import Reject, Video, parse_parts, read_videos
from trainer.data.tensors import aligned_zeros, as_tensor
from trainer.data.yt8m import AUDIO_SIZE, RGB_SIZE

_AT_ONCE = 2
"""Batches that are scored at the same time."""

_Batch = tuple[list[Video], list[Reject]]


class SavedModelScorer:
    """A loaded SavedModel of ours.

    Args:
        directory: That holds saved_model.pb.

    Raises:
        UserError: If it is not a model of ours, or damaged.
    """

    def __init__(self, directory: str) -> None:
        self.card = ModelCard.load(directory)
        self._model = load_model(directory)
        self._of_frames = self._model.signatures.get(FRAME_PREDICTIONS)
        self._of_examples = self._model.signatures["predictions"]

    def scores(self, videos: Sequence[Video]) -> np.ndarray:
        """float32 [B, V]."""
        if self._of_frames is None:
            return self._of_examples(examples=tf.constant([video.sequence_example for video in videos]))[
                "predictions"
            ].numpy()
        # Taken apart here: TensorFlow's own parser takes a fifth of the whole, on one core.
        return self._of_frames(**frames_of(videos, self.card.num_classes))["predictions"].numpy()


def score_videos(
    scorer: SavedModelScorer,
    files: Iterable[str],
    batch_size: int = 64,
    on_reject: Callable[[Reject], None] = lambda reject: None,
) -> Iterator[tuple[list[Video], np.ndarray]]:
    """Batches of videos with their scores, float32 [B, V], in the order of the files.

    The next batches are read while two are scored: one is put together while the other is multiplied.

    Args:
        scorer: Of the model.
        files: TFRecord files, plain or gzip.
        batch_size: B; the last batch may be smaller.
        on_reject: Receives each record that cannot be scored; the others are.
    """
    batches = prefetch(_batches(files, scorer.card.num_classes, batch_size))

    def score(batch: _Batch) -> np.ndarray | None:
        videos, _ = batch
        return scorer.scores(videos) if videos else None

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


def frames_of(videos: Sequence[Video], num_classes: int) -> dict[str, tf.Tensor]:
    """The frames of videos as the model takes them: uint8 [B, T, D], T of the longest."""
    counts = np.array([video.num_frames for video in videos], np.int32)
    parts = [parse_parts(video.sequence_example, num_classes) for video in videos]
    result = {"num_frames": tf.constant(counts)}
    for name, size in (("rgb", RGB_SIZE), ("audio", AUDIO_SIZE)):
        frames = aligned_zeros(len(videos), counts.max(), size)
        rows = frames.view(f"V{size}")[:, :, 0]  # as opaque bytes: a copy of a frame is one call
        for row, part, count in zip(rows, parts, counts, strict=True):
            row[:count] = np.frombuffer(getattr(part, name), frame_dtype(size))["frame"]
        result[name] = as_tensor(frames)
    return result


def label_rows(videos: Sequence[Video], num_classes: int) -> np.ndarray:
    """bool [B, V]: the labels of each video."""
    rows = np.zeros((len(videos), num_classes), bool)
    for row, video in zip(rows, videos, strict=True):
        row[list(video.labels)] = True
    return rows
