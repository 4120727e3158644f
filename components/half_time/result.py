"""What a variant has reached when half of its training is done."""

import json
import posixpath
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import tensorflow as tf

from serving.export.codecs import FLOAT16
from serving.export.compression import stored_bytes
from trainer.metrics.scorer import Scorer, evaluate
from trainer.training.step import TrainingStep

_FILE = "half_time.json"


@dataclass(frozen=True, kw_only=True)
class HalfTimeResult:
    """The state of one variant at half time.

    Attributes:
        variant: Its name.
        step: Training steps done.
        bytes: Size of its tensors as they are stored in an ensemble (float16).
        gap: On the eval split.
        videos: Of the eval split.
    """

    variant: str
    step: int
    bytes: int
    gap: float
    videos: int

    def write(self, directory: str) -> None:
        """Writes it into the directory of the training run."""
        with tf.io.gfile.GFile(posixpath.join(directory, _FILE), "w") as file:
            file.write(json.dumps(asdict(self)))

    @classmethod
    def read(cls, directory: str) -> "HalfTimeResult":
        """Reads it from the directory of a training run."""
        with tf.io.gfile.GFile(posixpath.join(directory, _FILE)) as file:
            return cls(**json.load(file))


def measure_half_time(trained: TrainingStep, step: int, eval_files: Sequence[str], directory: str) -> None:
    """Scores a model in training on the whole eval split, and leaves the result in the directory of its run."""
    metrics = evaluate(Scorer(trained.spec, trained.variables), eval_files)
    HalfTimeResult(
        variant=trained.spec.name,
        step=step,
        bytes=stored_bytes(trained.spec, FLOAT16),
        gap=metrics.gap,
        videos=metrics.videos,
    ).write(directory)
