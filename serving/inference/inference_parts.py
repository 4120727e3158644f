"""Predictions on their way: one part an input file, which anybody may make, and which are joined in the input's order.

Beside the output lies, until it is whole, a directory of parts: `plan.json` says of what, and one Parquet file holds
the predictions of one input file. Only with the same plan are parts that are there used.
"""

import dataclasses
import hashlib
import json
import posixpath
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from serving.inference.ordered_map import ordered_map
from serving.inference.predictions_file import PartWriter, check_ending, count_videos
from trainer.base.errors import UserError
from trainer.base.files import exists, file_size, make_dirs, open_file, remove_tree
from trainer.data.records import Reject, Video, read_videos
from trainer.data.yt8m import ANY_CLASSES

_PLAN = "plan.json"
_FORMAT = 2
"""Of the parts: since 2 they have the offsets of the records. Parts of another format are made anew."""


class Predictor(Protocol):
    """A `LocalPredictor` or a `PredictClient`."""

    def predict(self, examples: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """classes int64 [B, k] and scores float32 [B, k] of B serialised SequenceExamples."""


class InferenceParts:
    """The parts of one output. Making this leaves their directory with parts of this very plan, or with none.

    Args:
        out: The file of predictions, .csv or .parquet, local or in a bucket.
        model_identity: Parts of another model's are not used.
        files: TFRecord files, plain or gzip, frame level or video level.

    Raises:
        UserError: If `out` cannot be written.
    """

    def __init__(self, out: str, model_identity: str, files: Sequence[str]) -> None:
        check_ending(out)
        self.out, self.files = out, files
        self.sizes = [file_size(path) for path in files]
        self.directory = f"{out}.parts"
        self.paths = [posixpath.join(self.directory, f"{index:06d}.parquet") for index in range(len(files))]
        self._prepare(
            {"format": _FORMAT, "model": model_identity, "files": list(zip(files, self.sizes, strict=True))}
        )
        self.resumed = [exists(path) for path in self.paths]
        """Which of them an earlier run has made."""

    def videos(self) -> int:
        """In all parts that there are."""
        return sum(count_videos(path) for path in self.paths if exists(path))

    def _prepare(self, plan: dict[str, object]) -> None:
        text = json.dumps(plan).encode()
        path = posixpath.join(self.directory, _PLAN)
        if exists(path):
            with open_file(path, "rb") as file:
                if file.read() == text:
                    return
        try:
            remove_tree(self.directory)
            make_dirs(self.directory)
            with open_file(path, "wb") as file:
                file.write(text)
        except OSError as error:
            raise UserError(f"cannot write {self.directory}: {error.strerror}; give another --out") from None

    def rejects(self, index: int) -> list[Reject]:
        """The records of an input file whose part is made that are no valid video."""
        with open_file(_rejects_of(self.paths[index]), "rb") as file:
            return [Reject(**json.loads(line)) for line in file.read().splitlines()]


def predict_part(
    predictor: Predictor,
    path: str,
    part: str,
    batch_size: int,
    concurrency: int = 1,
    on_batch: Callable[[Sequence[Video]], None] = lambda videos: None,
) -> list[Reject]:
    """Makes one part. It appears when it is whole; made again, or twice at once, it is the same.

    Args:
        predictor: Of the model; is asked from so many threads as `concurrency` says.
        path: The input file.
        part: To be written, with its rejects beside it.
        batch_size: Videos asked for at once.
        concurrency: Batches on their way at once.
        on_batch: Told of the videos after each batch.

    Returns:
        The records that are no valid video.
    """
    rejects: list[Reject] = []
    with PartWriter(part) as writer:
        for videos, (classes, scores) in ordered_map(
            lambda videos: predictor.predict([video.sequence_example for video in videos]),
            _batches(path, batch_size, rejects),
            concurrency,
        ):
            offsets = [video.offset for video in videos]
            writer.add([video.id for video in videos], classes, scores, offsets)
            on_batch(videos)
        # Before the part gets its name: a part that is done has told of its rejects.
        with open_file(_rejects_of(part), "wb") as file:
            file.write(
                b"".join(json.dumps(dataclasses.asdict(reject)).encode() + b"\n" for reject in rejects)
            )
    return rejects


def directory_identity(directory: str) -> str:
    """Of a SavedModel: its graph, and the checksums of its weights, which stand in the index."""
    digest = hashlib.sha256()
    for name in ("saved_model.pb", "variables/variables.index"):
        with open_file(posixpath.join(directory, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def _rejects_of(part: str) -> str:
    return f"{part}.rejects"


def _batches(path: str, batch_size: int, rejects: list[Reject]) -> Iterator[list[Video]]:
    batch: list[Video] = []
    for item in read_videos(path, ANY_CLASSES):
        if isinstance(item, Reject):
            rejects.append(item)
            continue
        batch.append(item)
        if len(batch) == batch_size:
            yield batch
            batch = []
    if batch:
        yield batch
