"""Predictions for whole data sets, file by file. An interrupted run goes on with the first file that is not done."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from serving.inference.inference_join import join
from serving.inference.inference_parts import InferenceParts, Predictor, predict_part
from trainer.base.directory_lock import only_writer
from trainer.data.checks.lost_files import LostFile
from trainer.data.records import Reject, Video


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of an inference.

    Attributes:
        videos: Number of videos that are predicted, those of an earlier run included.
        per_second: Videos per second of this run.
        share: Share of the input's bytes that is done, 0 to 1.
        seconds_left: Estimated time to the end; None at the beginning.
    """

    videos: int
    per_second: float
    share: float
    seconds_left: float | None


@dataclass(frozen=True, kw_only=True)
class Inference:
    """The result of an inference.

    Attributes:
        out: Path of the file of predictions.
        videos: Number of videos in it.
        files: Number of input files.
        resumed_files: Number of input files that an earlier run had done.
        rejected: Number of videos without a prediction: their records are invalid, have the id of an earlier record, or
            are lost with the rest of a file (an estimate).
        rejected_by_reason: Number of those videos by reason (see `trainer.data.records.Reject`).
        rejects_file: Path of a file with a line of JSON for each record that was left out; None when none was.
        losses: The files that are lost or cut, with their estimated number of videos.
        copies: Path of the original by the path of its copy, a file all of whose videos stand in earlier files.
        seconds: Time that this run took.
    """

    out: str
    videos: int
    files: int
    resumed_files: int
    rejected: int
    rejected_by_reason: Mapping[str, int]
    rejects_file: str | None
    losses: Sequence[LostFile]
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
    """Predicts each video of the files once, and writes the predictions in that order to a .csv or .parquet file.

    Args:
        predictor: Predicts batches of videos; it is called from several threads.
        model_identity: Text that identifies the model. Parts that an earlier run made by another model are made anew.
        files: TFRecord files, plain or gzip, frame level or video level.
        out: Path of the submission file: for each video its id, and class and confidence of its 20 best classes, the
            most confident first.
        batch_size: Number of videos in a request to the predictor.
        concurrency: Number of requests that are made at the same time.
        on_reject: Receives each record that is no valid video; the others are predicted.
        on_progress: Receives the progress after each batch.

    Raises:
        UserError: `out` cannot be written, or another process is writing it, the model refuses, or there is no valid
            video.
    """
    begin = time.monotonic()
    parts = InferenceParts(out, model_identity, files)
    with only_writer(parts.directory, out):
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
    """Joins the parts into the output.

    Args:
        parts: The parts, all of which are made.
        begin: Time at which the run began, of time.monotonic().
    """
    joined = join(parts)
    return Inference(
        out=parts.out,
        videos=joined.videos,
        files=len(parts.files),
        resumed_files=sum(parts.resumed),
        rejected=sum(joined.rejected.values()),
        rejected_by_reason=joined.rejected,
        rejects_file=joined.rejects_file,
        losses=joined.lost_files,
        copies=joined.copies,
        seconds=time.monotonic() - begin,
    )


class _Watch:
    """Counts the videos and the bytes of input, to tell how much is left."""

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
