"""Comparing a day's requests, and the predictions for them, with what the served model was trained and chosen on."""

import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np

from components.drift.comparison import compare, divergences, moved_classes
from components.drift.report import DriftReport
from components.example_gen.distribution import Distribution
from components.pusher.reference import Reference
from serving.export.card import ModelCard
from serving.store.manifest import MANIFEST, decode_manifest
from trainer.base.batches import batched
from trainer.base.errors import UserError
from trainer.base.files import exists, open_file
from trainer.data.encoding import sequence_example
from trainer.data.record_parts import Parts
from trainer.data.records import Reject, read_parts

_LABELLED = ("classes", "labels_per_video")
"""Measures that only videos with labels have."""


class Predictor(Protocol):
    """A model, here or behind a server."""

    def predict(self, examples: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the best classes of each video, int64 [B, k], and their scores, float32 [B, k]."""


def read_reference(model: str) -> Reference:
    """Reads what a version says of its data and predictions.

    Args:
        model: Directory of the version, local or in a bucket.

    Raises:
        UserError: It says nothing of them, the file that says it is damaged, or it is no model of this project.
    """
    if not exists(posixpath.join(model, Reference.FILE)):
        if Reference.FILE in _listed(model):
            raise UserError(
                f"{model} has lost {Reference.FILE}, which its {MANIFEST} lists: copy the version again, with all files"
            )
        ModelCard.load(model)  # says so of a model of somebody else
        raise UserError(
            f"{model} does not say what it was trained on ({Reference.FILE}): it was pushed by an earlier release, or "
            "imported; the next push says it"
        )
    return Reference.read(model)


def _listed(model: str) -> Mapping[str, str]:
    path = posixpath.join(model, MANIFEST)
    if not exists(path):
        return {}
    with open_file(path, "rb") as file:
        return decode_manifest(file.read())


def monitor(
    predictor: Predictor,
    files: Iterable[str],
    reference: Reference,
    thresholds: Mapping[str, float],
    *,
    version: int | None,
    batch_size: int = 32,
    on_reject: Callable[[Reject], object] = lambda reject: None,
    on_batch: Callable[[int], object] = lambda videos: None,
) -> DriftReport:
    """Predicts videos and compares them and their predictions with the reference of the model.

    Args:
        predictor: The served model.
        files: TFRecord files of the videos; labels are not needed.
        reference: What `read_reference` returned.
        thresholds: The largest value of each measure that is no drift: those of `compare`, and of `scores`, how the
            scores of the 20 best classes are distributed, and `predicted`, which classes they are of.
        version: Number of the model's version, for the report.
        batch_size: Videos of a request.
        on_reject: Receives each record that is no valid video.
        on_batch: Receives the number of videos so far, after each request.

    Raises:
        UserError: There is no valid video in the files.
    """
    trained = reference.trained
    num_classes = len(trained.classes)
    seen = Distribution.empty(num_classes)
    scores, predicted, videos, labelled = (
        np.zeros(len(reference.scores) or 1, np.int64),
        np.zeros(num_classes),
        0,
        0,
    )
    for batch in batched(_videos(files, num_classes, on_reject), batch_size):
        examples = [sequence_example(one.id, (), bytes(one.rgb), bytes(one.audio)) for one in batch]
        classes, confidences = predictor.predict(examples)
        place = np.clip((confidences * len(scores)).astype(np.int64), 0, len(scores) - 1)
        scores += np.bincount(place.ravel(), minlength=len(scores))
        predicted += np.bincount(classes.ravel(), confidences.ravel(), num_classes)[:num_classes]
        for video in batch:
            seen.add(video)
        labelled += sum(1 for video in batch if video.labels)
        videos += len(batch)
        on_batch(videos)
    if not videos:
        raise UserError(
            "there is no valid video in the files to compare with those that the model was trained on"
        )
    wanted = {
        name: value for name, value in thresholds.items() if labelled == videos or name not in _LABELLED
    }
    measures = compare(seen, trained, wanted, skew=True)
    moved = np.zeros(0, np.int64), np.zeros(0, np.int64)
    if reference.scores:
        expected = np.zeros(num_classes)
        for number, total in reference.predicted.items():
            expected[number] = total
        moved = np.rint(predicted).astype(np.int64), np.rint(expected).astype(np.int64)
        measures += divergences(
            {"scores": scores, "predicted": moved[0]},
            {"scores": np.array(reference.scores), "predicted": moved[1]},
            {name: thresholds[name] for name in ("scores", "predicted") if name in thresholds},
            skew=True,
        )
    return DriftReport(
        videos=videos,
        served_version=version,
        served_videos=trained.videos,
        measures=tuple(measures),
        moved=tuple(moved_classes(*moved)),
    )


def _videos(files: Iterable[str], num_classes: int, on_reject: Callable[[Reject], object]) -> Iterable[Parts]:
    for path in files:
        for item in read_parts(path, num_classes):
            if isinstance(item, Reject):
                on_reject(item)
            else:
                yield item[0]
