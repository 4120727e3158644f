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
        half_time: The component that decides which variants are trained to the end; None if all are.
        before: The first halves and `half_time`, in an order in which they can run.
    """

    trainers: list[Trainer | SecondHalf]
    half_time: HalfTime | None = None
    before: Sequence[BaseComponent] = ()

    @property
    def first(self) -> Sequence[BaseComponent]:
        """The components that train from the beginning."""
        return [one for one in self.before if one is not self.half_time] or self.trainers


def trainings_of(
    recipe: Recipe, examples: BaseChannel, validator: ExampleValidator, work_root: str | None
) -> Trainings:
    """Returns the trainings of a recipe: one per variant or, with the stop rule, two halves and a judge in between."""
    if not recipe.halving.enabled:
        trainers = [_trainer(recipe, variant, examples, validator, work_root) for variant in recipe.variants]
        _chain(recipe, trainers)
        return Trainings(trainers)
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
    return Trainings(second_halves, judge, [*in_order(recipe, first_halves), judge])


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
    config = {"variant": str(variant), "training": recipe.training_of(variant).model_dump()}
    if recipe.data.num_classes != NUM_CLASSES:  # the default goes without saying: TFX's cache goes by this
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
