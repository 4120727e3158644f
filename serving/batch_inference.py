"""Predictions for whole data sets, file by file; who is interrupted goes on with the first file that is not done.

Beside the output lies, until it is whole, a directory of parts: `plan.json` says of what, and one Parquet file holds
the predictions of one input file. Only with the same plan are parts that are there used.
"""

import dataclasses
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from serving.ordered_map import ordered_map
from serving.predictions_file import PartWriter, check_ending, count_videos, join_parts
from trainer.errors import UserError
from trainer.files import file_size
from trainer.records import Reject, Video, read_videos

_PLAN = "plan.json"


class Predictor(Protocol):
    """A `LocalPredictor` or a `PredictClient`."""

    def predict(self, examples: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """classes int64 [B, k] and scores float32 [B, k] of B serialised SequenceExamples."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far it is.

    Attributes:
        videos: Predicted so far, those of an earlier run included.
        per_second: Videos of this run.
        share: Of the input's bytes, 0 to 1.
        seconds_left: Estimated; None at the beginning.
    """

    videos: int
    per_second: float
    share: float
    seconds_left: float | None


@dataclass(frozen=True, kw_only=True)
class Inference:
    """What was done.

    Attributes:
        out: The file of predictions.
        videos: In it.
        files: That were read.
        resumed_files: Of these, what an earlier run had done.
        rejected: Records that are no valid video.
        rejects_file: One JSON object a line for each of them; None when there is none.
        seconds: That this run took.
    """

    out: str
    videos: int
    files: int
    resumed_files: int
    rejected: int
    rejects_file: str | None
    seconds: float


def infer(
    predictor: Predictor,
    model_identity: str,
    files: Sequence[str],
    out: str,
    batch_size: int = 32,
    concurrency: int = 2,
    on_reject: Callable[[Reject], None] = lambda reject: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Inference:
    """Predicts all videos of the files, and writes them in that order to a .csv or .parquet file.

    Args:
        predictor: Of the model; may be asked from many threads.
        model_identity: Parts of another model's are not used.
        files: TFRecord files, plain or gzip, frame level or video level.
        out: The submission file: VideoId, and label and confidence of the 20 best, most confident first.
        batch_size: Videos asked for at once.
        concurrency: Batches on their way at once.
        on_reject: Told of each record that is no valid video; the others are predicted.
        on_progress: Told after each batch.

    Raises:
        UserError: If `out` cannot be written, the model refuses, or there is no valid video.
    """
    check_ending(out)
    begin = time.monotonic()
    sizes = [file_size(path) for path in files]
    parts_dir = f"{out}.parts"
    _prepare(parts_dir, {"model": model_identity, "files": list(zip(files, sizes, strict=True))})
    parts = [os.path.join(parts_dir, f"{index:06d}.parquet") for index in range(len(files))]
    resumed = [os.path.exists(part) for part in parts]
    watch = _Watch(sizes, resumed, sum(count_videos(part) for part in parts if os.path.exists(part)))
    for index, (path, part) in enumerate(zip(files, parts, strict=True)):
        if resumed[index]:
            continue
        rejects: list[Reject] = []
        with PartWriter(part) as writer:
            batches = _batches(path, batch_size, rejects)
            for videos, (classes, scores) in ordered_map(
                lambda videos: predictor.predict([video.sequence_example for video in videos]),
                batches,
                concurrency,
            ):
                writer.add([video.id for video in videos], classes, scores)
                on_progress(watch.after(index, videos))
            for reject in rejects:
                on_reject(reject)
            # Before the part gets its name: a part that is done has told of its rejects.
            _write_rejects(f"{part}.rejects", rejects)
        watch.finish(index)
    if not watch.videos:
        shutil.rmtree(parts_dir)
        raise UserError(f"there is no valid video in {len(files)} files, {files[0]} ...: see yt8m data check")
    join_parts(parts, out)
    rejects_file, rejected = _join_rejects([f"{part}.rejects" for part in parts], f"{out}.rejects.jsonl")
    shutil.rmtree(parts_dir)
    return Inference(
        out=out,
        videos=watch.videos,
        files=len(files),
        resumed_files=sum(resumed),
        rejected=rejected,
        rejects_file=rejects_file,
        seconds=time.monotonic() - begin,
    )


def directory_identity(directory: str) -> str:
    """Of a SavedModel: its graph, and the checksums of its weights, which stand in the index."""
    digest = hashlib.sha256()
    for name in ("saved_model.pb", os.path.join("variables", "variables.index")):
        with open(os.path.join(directory, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def _prepare(parts_dir: str, plan: dict[str, object]) -> None:
    """Leaves a directory with parts of this very plan, or with none."""
    text = json.dumps(plan)
    path = os.path.join(parts_dir, _PLAN)
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == text:
                return
    except (FileNotFoundError, NotADirectoryError):
        pass
    try:
        shutil.rmtree(parts_dir, ignore_errors=True)
        os.makedirs(parts_dir)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"cannot write {parts_dir}: {error.strerror}; give another --out") from None


def _batches(path: str, batch_size: int, rejects: list[Reject]) -> Iterator[list[Video]]:
    batch: list[Video] = []
    for item in read_videos(path):
        if isinstance(item, Reject):
            rejects.append(item)
            continue
        batch.append(item)
        if len(batch) == batch_size:
            yield batch
            batch = []
    if batch:
        yield batch


class _Watch:
    """Counts videos, and bytes of input, which say how much is left."""

    def __init__(self, sizes: Sequence[int], done: Sequence[bool], videos: int) -> None:
        self._sizes = sizes
        self._total = max(sum(sizes), 1)
        self._earlier_bytes = self._finished = sum(s for s, d in zip(sizes, done, strict=True) if d)
        self._earlier_videos = self.videos = videos
        self._in_file = 0
        self._begin = time.monotonic()

    def after(self, index: int, videos: Sequence[Video]) -> Progress:
        self.videos += len(videos)
        # A record of a compressed or video-level file is another number of bytes there, hence the bound.
        self._in_file += sum(len(video.sequence_example) for video in videos)
        done = self._finished + min(self._in_file, self._sizes[index])
        seconds = max(time.monotonic() - self._begin, 1e-9)
        here = done - self._earlier_bytes
        return Progress(
            videos=self.videos,
            per_second=(self.videos - self._earlier_videos) / seconds,
            share=done / self._total,
            seconds_left=seconds * (self._total - done) / here if here else None,
        )

    def finish(self, index: int) -> None:
        self._finished += self._sizes[index]
        self._in_file = 0


def _write_rejects(path: str, rejects: Iterable[Reject]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(dataclasses.asdict(reject)) + "\n" for reject in rejects)


def _join_rejects(paths: Sequence[str], target: str) -> tuple[str | None, int]:
    lines = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            lines += file.readlines()
    if not lines:
        # One of an earlier output must not be taken for this one's.
        if os.path.exists(target):
            os.unlink(target)
        return None, 0
    with open(target, "w", encoding="utf-8") as file:
        file.writelines(lines)
    return target, sum(json.loads(line)["lost_records"] for line in lines)
