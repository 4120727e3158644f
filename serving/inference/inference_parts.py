"""The parts of an inference: the predictions of each input file, which are joined in the order of the input.

Until the output is whole, a directory of parts lies beside it. Its `plan.json` marks it as one of ours, and a
Parquet file holds the predictions of each input file. Any process may make a part. A part is named after its model, its
input file and that file's size, so that an inference with other files or another model takes what is right for it and
leaves the rest, until an output is whole.
"""

import dataclasses
import hashlib
import json
import posixpath
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from serving.inference.ordered_map import ordered_map
from serving.inference.predictions_file import PartWriter, check_ending, count_videos
from trainer.base.batches import batched
from trainer.base.errors import UserError
from trainer.base.files import exists, file_size, list_names, make_dirs, open_file, remove_tree
from trainer.data.records import Reject, Video, valid_videos
from trainer.data.yt8m import ANY_CLASSES

_PLAN = "plan.json"
_PLAN_HEAD = b'{"format": '
"""How every plan begins."""
_FORMAT = 3
"""Version of the parts' format; 3 names them after what they are made from. Parts of another format are removed."""


class Predictor(Protocol):
    """Predicts videos: a `LocalPredictor` or a `PredictClient`."""

    def predict(self, examples: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Predicts B videos.

        Args:
            examples: B serialised SequenceExamples.

        Returns:
            The best classes of each video, int64 [B, k], and their scores, float32 [B, k], descending.
        """


class InferenceParts:
    """The parts of one output.

    Args:
        out: Path of the file of predictions, .csv or .parquet, local or in a bucket.
        model_identity: Text that identifies the model.
        files: TFRecord files, plain or gzip, frame level or video level.

    Raises:
        UserError: `out` cannot be written, or a directory that is not of an inference has the name of the parts.
    """

    def __init__(self, out: str, model_identity: str, files: Sequence[str]) -> None:
        check_ending(out)
        self.out, self.files = out, files
        self.sizes = [file_size(path) for path in files]
        self.directory = f"{out}.parts"
        self.paths = [
            posixpath.join(self.directory, _part_name(model_identity, path, size))
            for path, size in zip(files, self.sizes, strict=True)
        ]
        self._prepare()
        self.resumed = [exists(path) for path in self.paths]
        """Whether an earlier run has made the part of an input file, for each of them."""

    def videos(self) -> int:
        """Returns the number of videos in all parts that are made."""
        return sum(count_videos(path) for path in self.paths if exists(path))

    def _prepare(self) -> None:
        text = json.dumps({"format": _FORMAT}).encode()
        path = posixpath.join(self.directory, _PLAN)
        earlier = None
        if exists(path):
            with open_file(path, "rb") as file:
                earlier = file.read()
            if earlier == text:
                return
        # A plan that was cut when its inference was killed begins as all do.
        ours = earlier is not None and _PLAN_HEAD.startswith(earlier[: len(_PLAN_HEAD)])
        if not ours and list_names(self.directory):
            raise UserError(
                f"{self.directory} is needed for the parts, and has files that are not of an inference (there is no "
                f"{_PLAN} of one): move it away, or give another --out"
            )
        try:
            remove_tree(self.directory)
            make_dirs(self.directory)
            with open_file(path, "wb") as file:
                file.write(text)
        except OSError as error:
            raise UserError(f"cannot write {self.directory}: {error.strerror}; give another --out") from None

    def rejects(self, index: int) -> list[Reject]:
        """Returns the records of an input file that are no valid video.

        Args:
            index: Number of the file in `files`; its part must be made.
        """
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
    """Makes one part. It appears when it is whole. Making it again, or twice at the same time, gives the same part.

    Args:
        predictor: Predicts batches of videos; it is called from `concurrency` threads.
        path: Path of the input file.
        part: Path of the part; its rejects are written beside it.
        batch_size: Number of videos in a request to the predictor.
        concurrency: Number of requests that are made at the same time.
        on_batch: Receives the videos of each batch when they are predicted.

    Returns:
        The records that are no valid video.
    """
    rejects: list[Reject] = []
    with PartWriter(part) as writer:
        for videos, (classes, scores) in ordered_map(
            lambda videos: predictor.predict([video.sequence_example for video in videos]),
            batched(valid_videos([path], ANY_CLASSES, rejects.append), batch_size),
            concurrency,
        ):
            offsets = [video.offset for video in videos]
            writer.add([video.id for video in videos], classes, scores, offsets)
            on_batch(videos)
        # Before the part gets its name, so that a part that is done has its rejects.
        with open_file(_rejects_of(part), "wb") as file:
            file.write(reject_lines(rejects))
    return rejects


def directory_identity(directory: str) -> str:
    """Returns a text that identifies a SavedModel.

    It is a digest of the graph and of the weights' index, which has their checksums.
    """
    digest = hashlib.sha256()
    for name in ("saved_model.pb", "variables/variables.index"):
        with open_file(posixpath.join(directory, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def reject_lines(rejects: Sequence[Reject]) -> bytes:
    """Returns one line for each reject: a JSON object with the fields of `Reject`."""
    return b"".join(json.dumps(dataclasses.asdict(reject)).encode() + b"\n" for reject in rejects)


def _part_name(model_identity: str, path: str, size: int) -> str:
    source = json.dumps([model_identity, path, size]).encode()
    return f"{hashlib.sha256(source).hexdigest()[:32]}.parquet"


def _rejects_of(part: str) -> str:
    return f"{part}.rejects"
