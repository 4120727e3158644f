"""The Beam pipeline of batch inference: one element an input file.

A file, and not a video, so that frames never travel between machines and a part comes out in the order of its file: by
(file, offset) the result is the same as without Beam, byte for byte, and batches are as full as there.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from serving.inference.inference_parts import predict_part
from serving.inference.local_predictor import LocalPredictor
from trainer.base.errors import UserError
from trainer.base.files import open_file

COUNTERS = "yt8m/infer"
"""Namespace of the Beam counters files, videos and rejected: for watching a running job. A bundle that is done again
counts again; the output does not."""


@dataclass(frozen=True, kw_only=True)
class PartTask:
    """What is made of one input file."""

    path: str
    part: str


class PredictPart(beam.DoFn):
    """PartTask to the message of a UserError, if there is one; writes the part.

    The model is loaded once a worker process, by whichever element comes first.

    Args:
        model: Directory of a SavedModel, which every worker can read.
        batch_size: Videos predicted at once.
    """

    def __init__(self, model: str, batch_size: int) -> None:
        self._model = model
        self._batch_size = batch_size
        self._shared = Shared()

    def process(self, task: PartTask) -> Iterable[str]:
        """Predicts one file."""
        try:
            # Held by the process only as long as somebody holds it, hence the attribute.
            self._predictor = self._shared.acquire(lambda: LocalPredictor(self._model), tag=self._model)
            rejects = predict_part(
                self._predictor,
                task.path,
                task.part,
                self._batch_size,
                on_batch=lambda videos: Metrics.counter(COUNTERS, "videos").inc(len(videos)),
            )
        except UserError as error:
            # Beam would wrap it in an exception that no longer says whose fault it is.
            yield str(error)
            return
        Metrics.counter(COUNTERS, "files").inc()
        Metrics.counter(COUNTERS, "rejected").inc(sum(reject.lost_records for reject in rejects))


class WriteErrors(beam.DoFn):
    """The list of all messages to a JSON file, from which the process that started the pipeline reads them."""

    def __init__(self, path: str) -> None:
        self._path = path

    def process(self, errors: list[str]) -> Iterable[None]:
        """Writes them sorted; gives nothing on."""
        with open_file(self._path, "wb") as file:
            file.write(json.dumps(sorted(errors)).encode())
        return ()


def add_steps(
    pipeline: beam.Pipeline, tasks: Sequence[PartTask], model: str, batch_size: int, errors_path: str
) -> None:
    """Adds to the pipeline: all parts, made anywhere in any order, and what was wrong with them in one file."""
    _ = (
        pipeline
        | "Files" >> beam.Create(list(tasks), reshuffle=False)
        | "Spread" >> beam.Reshuffle()
        | "Predict" >> beam.ParDo(PredictPart(model, batch_size))
        | "Gather" >> beam.combiners.ToList()
        | "WriteErrors" >> beam.ParDo(WriteErrors(errors_path))
    )
