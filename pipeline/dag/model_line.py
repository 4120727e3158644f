"""Builds the part of the DAG that every model goes through: it is trained, averaged and compressed."""

from collections.abc import Iterable
from typing import NamedTuple

from tfx.components import Trainer
from tfx.types.channel import BaseChannel

from components.checkpoint_averager.component import CheckpointAverager
from components.compressor.component import Compressor
from components.fp16_compressor.component import Fp16Compressor
from components.second_half.component import SecondHalf
from components.student_trainer.component import StudentTrainer
from pipeline.recipe.recipe import Recipe
from trainer.training.config import TrainingConfig


class ModelLine(NamedTuple):
    """The components of one model."""

    trainer: Trainer | SecondHalf | StudentTrainer
    averager: CheckpointAverager
    compressor: Compressor | Fp16Compressor


def model_line(
    recipe: Recipe,
    name: str,
    training: TrainingConfig,
    trainer: Trainer | SecondHalf | StudentTrainer,
    runs: list[BaseChannel],
    examples: BaseChannel,
    prefix: str = "",
) -> ModelLine:
    """Returns the components of a model.

    Args:
        recipe: The recipe that names the variants.
        name: What the model is called in the ids of its nodes.
        training: The settings of its training.
        trainer: The component that trains it.
        runs: Its outputs `model_run`: of the whole training and, with the stop rule, of the first half.
        examples: The examples.
        prefix: Stands before the ids.
    """
    averager = CheckpointAverager(model_run=runs[0], examples=examples, averaging=recipe.averaging).with_id(
        f"{prefix}CheckpointAverager-{name}"
    )
    spent = [] if training.keep_snapshots else runs
    compressor = _compressor(recipe, averager.outputs["model"], examples, spent)
    return ModelLine(trainer, averager, compressor.with_id(f"{prefix}{type(compressor).__name__}-{name}"))


def member_names(recipe: Recipe, names: Iterable[str]) -> list[str] | None:
    """Returns what an assembler calls these models; None where their architectures tell them apart."""
    names = list(names)
    return names if any(name != str(recipe.trained[name]) for name in names) else None


def _compressor(
    recipe: Recipe, model: BaseChannel, examples: BaseChannel, spent_runs: list[BaseChannel]
) -> Compressor | Fp16Compressor:
    """Makes a ladder of forms where the recipe asks for one, and else the paper's float16."""
    compression = recipe.compression
    if not compression.ladder:
        return Fp16Compressor(
            model=model, examples=examples, tolerance=compression.tolerance, spent_runs=spent_runs
        )
    return Compressor(
        model=model,
        examples=examples,
        ladder=[form.name for form in compression.ladder],
        calibration_videos=compression.calibration_videos,
        spent_runs=spent_runs,
    )
