"""Predictions for whole data sets, file by file; who is interrupted goes on with the first file that is not done."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from serving.inference.inference_join import join
from serving.inference.inference_parts import InferenceParts, Predictor, predict_part
from trainer.data.losses import Loss
from trainer.data.records import Reject, Video


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
        rejected: Videos that have no prediction: their records are invalid, or have the id of an earlier record, or
            are lost with the rest of a file (an estimate).
        rejected_by_reason: The same by reason (see `trainer.data.records.Reject`).
        rejects_file: One JSON object a line for each record that was left out; None when there is none.
        losses: Files that are lost or cut, and how many videos they held by estimate.
        copies: Files all of whose videos stand in earlier files, each with such a file.
        seconds: That this run took.
    """

    out: str
    videos: int
    files: int
    resumed_files: int
    rejected: int
    rejected_by_reason: Mapping[str, int]
    rejects_file: str | None
    losses: Sequence[Loss]
    copies: Mapping[str, str]
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
    """Predicts all videos of the files, each once, and writes them in that order to a .csv or .parquet file.

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
    begin = time.monotonic()
    parts = InferenceParts(out, model_identity, files)
    watch = _Watch(parts.sizes, parts.resumed, parts.videos())
    for index, (path, part) in enumerate(zip(files, parts.paths, strict=True)):
        if parts.resumed[index]:
            continue
        rejects = predict_part(
            predictor,
            path,
            part,
            batch_size,
            concurrency,
            lambda videos, index=index: on_progress(watch.after(index, videos)),
        )
        for reject in rejects:
            on_reject(reject)
        watch.finish(index)
    return finished(parts, begin)


def finished(parts: InferenceParts, begin: float) -> Inference:
    """Joins the parts, all of which are made, and says what was done since `begin`, of time.monotonic()."""
    joined = join(parts)
    return Inference(
        out=parts.out,
        videos=joined.videos,
        files=len(parts.files),
        resumed_files=sum(parts.resumed),
        rejected=sum(joined.rejected.values()),
        rejected_by_reason=joined.rejected,
        rejects_file=joined.rejects_file,
        losses=joined.losses,
        copies=joined.copies,
        seconds=time.monotonic() - begin,
    )


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
