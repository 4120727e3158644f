"""Scores the videos of YouTube-8M files, frame level or video level, by a SavedModel of this project.

Legend: B videos, V classes.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from serving.export.card import ModelCard
from serving.export.saved_model import FRAME_PREDICTIONS
from serving.inference.ordered_map import ordered_map
from serving.store.whole_model import load_model
from trainer.base.batches import batched
from trainer.base.prefetch import prefetch
from trainer.data.encoding import frame_dtype
from trainer.data.record_parts import parse_parts
from trainer.data.records import Reject, Video, valid_videos
from trainer.data.tensors import aligned_zeros, as_tensor
from trainer.data.yt8m import AUDIO_SIZE, RGB_SIZE

_AT_ONCE = 2
"""Number of batches that are scored at the same time."""

_Batch = tuple[list[Video], list[Reject]]


class SavedModelScorer:
    """A SavedModel of this project, loaded to score videos.

    Args:
        directory: Directory of saved_model.pb.

    Raises:
        UserError: The model is damaged, or not of this project.
    """

    def __init__(self, directory: str) -> None:
        self.card = ModelCard.load(directory)
        self._model = load_model(directory)
        self._of_frames = self._model.signatures.get(FRAME_PREDICTIONS)
        self._of_examples = self._model.signatures["predictions"]

    def scores(self, videos: Sequence[Video]) -> np.ndarray:
        """Scores B videos: float32 [B, V] in [0, 1]."""
        if self._of_frames is None:
            return self._of_examples(examples=tf.constant([video.sequence_example for video in videos]))[
                "predictions"
            ].numpy()
        # The records are taken apart here: TensorFlow's parser would take a fifth of the time, on one core.
        return self._of_frames(**frames_of(videos, self.card.num_classes))["predictions"].numpy()


def score_videos(
    scorer: SavedModelScorer,
    files: Iterable[str],
    batch_size: int = 64,
    on_reject: Callable[[Reject], None] = lambda reject: None,
) -> Iterator[tuple[list[Video], np.ndarray]]:
    """Yields batches of videos with their scores, float32 [B, V], in the order of the files.

    The next batches are read while two are scored: one is put together while the other is multiplied.

    Args:
        scorer: The model that scores them.
        files: TFRecord files, plain or gzip.
        batch_size: B; the last batch may be smaller.
        on_reject: Receives each record that is no valid video; the others are scored.
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
    """Yields the videos, B at a time, and what was rejected since the batch before."""
    rejects: list[Reject] = []
    for videos in batched(valid_videos(files, num_classes, rejects.append), batch_size):
        yield videos, rejects.copy()
        rejects.clear()
    yield [], rejects


def frames_of(videos: Sequence[Video], num_classes: int) -> dict[str, tf.Tensor]:
    """Returns the frames of B videos as the model takes them, uint8 [B, T, D], where T is that of the longest."""
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
