"""Measuring what a variant has reached when half of its training is done."""

from collections.abc import Sequence

from components.half_time.report import HalfTimeResult
from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from trainer.metrics.scorer import Scorer, evaluate
from trainer.training.step import TrainingStep


def measure_half_time(trained: TrainingStep, step: int, eval_files: Sequence[str], directory: str) -> None:
    """Scores a model in training on the whole eval split, and leaves the result in the directory of its run.

    Args:
        trained: The model in training.
        step: Training steps done.
        eval_files: TFRecord files of the eval split.
        directory: Directory of the training run, local or in a bucket.
    """
    metrics = evaluate(Scorer(trained.spec, trained.variables), eval_files)
    HalfTimeResult(
        variant=trained.spec.name,
        step=step,
        bytes=stored_bytes(trained.spec, FLOAT16),
        gap=metrics.gap,
        videos=metrics.videos,
    ).write(directory)
