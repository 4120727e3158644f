"""Batch inference from beginning to end, with the parts made by a Beam pipeline."""

import json
import posixpath
import time
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from components.batch_inference.beam_steps import PartTask, add_steps
from serving.inference.batch_inference import Inference, finished
from serving.inference.inference_parts import InferenceParts, directory_identity
from trainer.base.directory_lock import only_writer
from trainer.base.errors import UserError
from trainer.base.files import open_file


def infer_with_beam(
    model: str, files: Sequence[str], out: str, pipeline_args: Sequence[str], batch_size: int = 32
) -> Inference:
    """Predicts files on as many machines as the Beam runner has.

    The output is the same as that of `serving.inference.batch_inference.infer`. Parts that an interrupted run has
    finished are not made again, whichever runner made them.

    Args:
        model: Directory of a SavedModel.
        files: TFRecord files of videos.
        out: The file of predictions, .csv or .parquet. The workers write parts beside it.
        pipeline_args: Beam's command line options, such as --runner=DataflowRunner.
        batch_size: How many videos are predicted at once.

    Raises:
        UserError: If `out` cannot be written, or another process is writing it, the model does not load or refuses, or
            there is no valid video.
    """
    begin = time.monotonic()
    parts = InferenceParts(out, directory_identity(model), files)
    with only_writer(parts.directory, out):
        tasks = [
            PartTask(path=path, part=part)
            for path, part, done in zip(files, parts.paths, parts.resumed, strict=True)
            if not done
        ]
        errors_path = posixpath.join(parts.directory, "errors.json")
        with beam.Pipeline(options=PipelineOptions(list(pipeline_args))) as pipeline:
            add_steps(pipeline, tasks, model, batch_size, errors_path)
        with open_file(errors_path, "rb") as file:
            errors = json.loads(file.read())
        if errors:
            raise UserError(errors[0])
        return finished(parts, begin)
