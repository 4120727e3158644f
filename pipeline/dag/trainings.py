"""Builds the part of the DAG that trains: the Trainers, their order, and the stop rule between two halves."""

import posixpath
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from tfx.components import Trainer
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.proto import trainer_pb2
from tfx.types.channel import BaseChannel

from components.example_validator.component import ExampleValidator
from components.half_time.component import HalfTime
from components.half_time.rule import half_time
from components.second_half.component import SecondHalf
from pipeline.dag.trainer_order import FIRST_HALF, TRAINER, training_work, waits_for
from pipeline.recipe.recipe import Recipe
from trainer.data.yt8m import NUM_CLASSES
from trainer.model.architectures import Architecture

RUN_FN = "components.trainer.run_fn.run_fn"

T = TypeVar("T")


class Trainings(NamedTuple):
    """The components that train the variants.

    Attributes:
        trainers: The component of each variant, in the recipe's order, whose output `model_run` is the whole training.
        runs: The outputs `model_run` of each variant: of the whole training and, with the stop rule, of its first half.
        half_time: The component that decides which variants are trained to the end; None if all are.
        before: The first halves and `half_time`, in an order in which they can run.
    """

    trainers: list[Trainer | SecondHalf]
    runs: list[list[BaseChannel]]
    half_time: HalfTime | None = None
    before: Sequence[BaseComponent] = ()


def trainings_of(
    recipe: Recipe, examples: BaseChannel, validator: ExampleValidator, work_root: str | None
) -> Trainings:
    """Returns the trainings of a recipe: one per variant or, with the stop rule, two halves and a judge in between."""
    if not recipe.halving.enabled:
        trainers = [_trainer(recipe, variant, examples, validator, work_root) for variant in recipe.variants]
        _chain(recipe, trainers)
        return Trainings(trainers, [[one.outputs["model_run"]] for one in trainers])
    first_halves = [
        _trainer(recipe, variant, examples, validator, work_root, half_time(recipe.training_of(variant)))
        for variant in recipe.variants
    ]
    _chain(recipe, first_halves)
    judge = HalfTime([trainer.outputs["model_run"] for trainer in first_halves], recipe.halving.lead)
    second_halves = [
        SecondHalf(
            examples,
            first_half.outputs["model_run"],
            judge.outputs["report"],
            _training_config(recipe, variant, work_root, f"{TRAINER}{variant}"),
        ).with_id(f"{TRAINER}{variant}")
        for variant, first_half in zip(recipe.variants, first_halves, strict=True)
    ]
    _chain(recipe, second_halves)
    runs = [
        [second.outputs["model_run"], first.outputs["model_run"]]
        for second, first in zip(second_halves, first_halves, strict=True)
    ]
    return Trainings(second_halves, runs, judge, [*in_order(recipe, first_halves), judge])


def _trainer(
    recipe: Recipe,
    variant: Architecture,
    examples: BaseChannel,
    validator: ExampleValidator,
    work_root: str | None,
    until: int | None = None,
) -> Trainer:
    """Returns the Trainer of a variant, which trains to its last step or to an earlier one."""
    training = recipe.training_of(variant)
    trainer_id = f"{TRAINER if until is None else FIRST_HALF}{variant}"
    config = _training_config(recipe, variant, work_root, trainer_id)
    if until is not None:
        config["until"] = until
    trainer = Trainer(
        run_fn=RUN_FN,
        examples=examples,
        # The steps that count are in custom_config; TFX wants to be told as well.
        train_args=trainer_pb2.TrainArgs(splits=["train"], num_steps=training.steps),
        eval_args=trainer_pb2.EvalArgs(splits=["eval"]),
        custom_config=config,
    ).with_id(trainer_id)
    # Nothing is trained on data that does not pass, though no data flow between the two.
    trainer.add_upstream_node(validator)
    return trainer


def _training_config(
    recipe: Recipe, variant: Architecture, work_root: str | None, node: str
) -> dict[str, Any]:
    training = recipe.training_of(variant)
    # A default that was added later goes without saying: TFX's cache goes by this.
    added = {"keep_snapshots", "start", "warm_steps", "input_processes"}
    config = {"variant": str(variant), "training": training.model_dump(exclude=added)}
    if training.input_processes > 1:
        config["training"]["input_processes"] = training.input_processes
    if start := recipe.start_of(variant):
        config["training"] |= training.model_dump(include={"start", "warm_steps"})
        config["start_from"] = start
    if training.keep_snapshots:
        config["training"]["keep_snapshots"] = True
    elif not recipe.averaging.automatic and not recipe.halving.enabled:
        # Which snapshots are of use is known. A variant that is stopped at half time has others than one that goes on.
        config["averaging"] = recipe.averaging.model_dump(
            include={"single_every", "automatic", "fractions", "steps"}
        )
    if recipe.data.num_classes != NUM_CLASSES:
        config["num_classes"] = recipe.data.num_classes
    if work_root:
        config["work_dir"] = posixpath.join(work_root, node)
    return config


def _chain(recipe: Recipe, trainers: Sequence[BaseComponent]) -> None:
    """Makes each Trainer wait for the one before it in its chain, if only some may run at the same time.

    The wait is a dependency without data: every version of Kubeflow Pipelines knows it, and no cache counts it.
    """
    by_variant = dict(zip(map(str, recipe.variants), trainers, strict=True))
    for variant, before in _waits(recipe).items():
        if before is not None:
            by_variant[variant].add_upstream_node(by_variant[before])


def in_order(recipe: Recipe, of_variants: Sequence[T]) -> list[T]:
    """Sorts things, one for each variant in the recipe's order, into the order in which the Trainers start."""
    by_variant = dict(zip(map(str, recipe.variants), of_variants, strict=True))
    return [by_variant[variant] for variant in _waits(recipe)]


def _waits(recipe: Recipe) -> dict[str, str | None]:
    return waits_for(training_work(recipe), recipe.kubernetes.max_parallel_trainers)
