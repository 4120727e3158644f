"""The Beam pipeline of the Teacher: one element a file of videos, so that frames never travel between machines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from components.batch_inference.beam_steps import WriteErrors
from serving.inference.scoring import SavedModelScorer, score_videos
from trainer.base.errors import UserError
from trainer.base.memory import keep_freed_memory
from trainer.data.records import Reject
from trainer.data.soft_targets import SoftTargetWriter

COUNTERS = "yt8m/Teacher"
"""Namespace of the Beam counters files and videos: for watching a running job. A bundle that is done again counts
again; the soft targets do not."""


@dataclass(frozen=True, kw_only=True)
class ScoreTask:
    """The scoring of one file of videos.

    Attributes:
        path: The input, a TFRecord file.
        part: The file that its soft targets are written to.
        model: Directory of the SavedModel that scores it, which every worker can read.
    """

    path: str
    part: str
    model: str


class ScoreFile(beam.DoFn):
    """Scores the file of a ScoreTask and writes its soft targets; its element is the message of a UserError, if any.

    A model is loaded once in each worker process, by whichever element comes first.

    Args:
        threshold: Least probability that is kept.
        max_classes: Classes that are kept of a video at most.
        batch_size: How many videos are scored at once.
    """

    def __init__(self, threshold: float, max_classes: int, batch_size: int) -> None:
        self._threshold, self._max_classes, self._batch_size = threshold, max_classes, batch_size
        self._shared = Shared()

    def process(self, task: ScoreTask) -> Iterable[str]:
        """Scores one file."""
        try:
            # Held by the process only as long as somebody holds it, hence the attribute.
            self._scorer = self._shared.acquire(lambda: _loaded(task.model), tag=task.model)
            with SoftTargetWriter(task.part, self._threshold, self._max_classes) as writer:
                for videos, scores in score_videos(self._scorer, [task.path], self._batch_size, _refuse):
                    writer.add([video.id for video in videos], scores)
                    Metrics.counter(COUNTERS, "videos").inc(len(videos))
        except UserError as error:
            # Beam would wrap it in an exception that no longer says whose fault it is.
            yield str(error)
            return
        Metrics.counter(COUNTERS, "files").inc()


def _loaded(model: str) -> SavedModelScorer:
    keep_freed_memory()
    return SavedModelScorer(model)


def _refuse(reject: Reject) -> None:
    raise UserError(
        f"{reject.file}, byte {reject.offset}: {reject.reason} ({reject.detail}); write the file anew"
    )


def add_steps(
    pipeline: beam.Pipeline,
    tasks: Sequence[ScoreTask],
    threshold: float,
    max_classes: int,
    batch_size: int,
    errors_path: str,
) -> None:
    """Adds the steps to a Beam pipeline.

    Args:
        pipeline: The pipeline that the steps are added to.
        tasks: One task for each file. They are done on any machine, in any order.
        threshold: Least probability that is kept.
        max_classes: Classes that are kept of a video at most.
        batch_size: How many videos are scored at once.
        errors_path: File that the messages of all files that failed are written to.
    """
    _ = (
        pipeline
        | "Files" >> beam.Create(list(tasks), reshuffle=False)
        | "Spread" >> beam.Reshuffle()
        | "Score" >> beam.ParDo(ScoreFile(threshold, max_classes, batch_size))
        | "Gather" >> beam.combiners.ToList()
        | "WriteErrors" >> beam.ParDo(WriteErrors(errors_path))
    )
