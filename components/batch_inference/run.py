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
from trainer.base.errors import UserError
from trainer.base.files import open_file


def infer_with_beam(
    model: str, files: Sequence[str], out: str, pipeline_args: Sequence[str], batch_size: int = 32
) -> Inference:
    """As `serving.inference.batch_inference.infer`, with the same output, by as many machines as the runner has.

    What an interrupted run has finished is not done again; any mixture of runners and local runs may have made it.

    Args:
        model: Directory of a SavedModel.
        files: TFRecord files.
        out: The file of predictions, .csv or .parquet; the parts beside it are written by the workers.
        pipeline_args: Beam's command line.
        batch_size: Videos predicted at once.

    Raises:
        UserError: If `out` cannot be written, the model does not load or refuses, or there is no valid video.
    """
    begin = time.monotonic()
    parts = InferenceParts(out, directory_identity(model), files)
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
