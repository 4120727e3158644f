"""Builds the part of the DAG that trains: the Trainers, their order, and the stop rule between two halves."""

import posixpath
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from tfx.components import Trainer
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.proto import trainer_pb2
from tfx.types.channel import BaseChannel

from components.example_validator.component import ExampleValidator
from components.half_time.component import HalfTime
from components.half_time.rule import half_time
from components.second_half.component import SecondHalf
from pipeline.dag.trainer_order import (
    FIRST_HALF,
    FOLD,
    TRAINER,
    fold_label,
    fold_labels,
    training_work,
    waits_for,
)
from pipeline.recipe.recipe import Recipe
from trainer.data.yt8m import NUM_CLASSES

RUN_FN = "components.trainer.run_fn.run_fn"

T = TypeVar("T")


class Trainings(NamedTuple):
    """The components that train the variants.

    Attributes:
        trainers: The component of each of `Recipe.variants_by_name`, in that order, whose output `model_run` is the
            whole training.
        runs: The outputs `model_run` of each of them: of the whole training and, with the stop rule, of its first half.
        half_time: The component that decides which variants are trained to the end; None if all are.
        before: The first halves and `half_time`, in an order in which they can run.
        folds: The component of each variant's training without one part of the train files, by `fold_labels`.
    """

    trainers: list[Trainer | SecondHalf]
    runs: list[list[BaseChannel]]
    half_time: HalfTime | None = None
    before: Sequence[BaseComponent] = ()
    folds: Mapping[str, Trainer] = MappingProxyType({})

    @property
    def first(self) -> Sequence[BaseComponent]:
        """The components that train from the beginning."""
        halves = [one for one in self.before if one is not self.half_time]
        return halves or [*self.trainers, *self.folds.values()]


def trainings_of(
    recipe: Recipe, examples: BaseChannel, validator: ExampleValidator, work_root: str | None
) -> Trainings:
    """Returns the trainings of a recipe: one per model or, with the stop rule, two halves and a judge in between."""
    folds = {
        fold_label(name, fold): _trainer(recipe, name, examples, validator, work_root, fold=fold)
        for fold in range(recipe.teacher.folds if recipe.teacher.folds > 1 else 0)
        for name in recipe.variants_by_name
    }
    if not recipe.halving.enabled:
        trainers = [
            _trainer(recipe, name, examples, validator, work_root) for name in recipe.variants_by_name
        ]
        chain(recipe, {**_named(recipe, trainers), **folds})
        return Trainings(trainers, [[one.outputs["model_run"]] for one in trainers], folds=folds)
    first_halves = [
        _trainer(recipe, name, examples, validator, work_root, half_time(recipe.training_of(name)))
        for name in recipe.variants_by_name
    ]
    chain(recipe, {**_named(recipe, first_halves), **folds})
    judge = HalfTime([trainer.outputs["model_run"] for trainer in first_halves], recipe.halving.lead)
    second_halves = [
        SecondHalf(
            examples,
            first_half.outputs["model_run"],
            judge.outputs["report"],
            training_config(recipe, name, work_root, f"{TRAINER}{name}"),
        ).with_id(f"{TRAINER}{name}")
        for name, first_half in zip(recipe.variants_by_name, first_halves, strict=True)
    ]
    chain(recipe, _named(recipe, second_halves))
    runs = [
        [second.outputs["model_run"], first.outputs["model_run"]]
        for second, first in zip(second_halves, first_halves, strict=True)
    ]
    first = in_order(recipe, {**_named(recipe, first_halves), **folds})
    return Trainings(second_halves, runs, judge, [*first, judge], folds)


def _trainer(
    recipe: Recipe,
    name: str,
    examples: BaseChannel,
    validator: ExampleValidator,
    work_root: str | None,
    until: int | None = None,
    fold: int | None = None,
) -> Trainer:
    """Returns the Trainer of a variant, which trains to its last step or to an earlier one, on all files or on some."""
    training = recipe.training_of(name)
    trainer_id = f"{TRAINER if until is None else FIRST_HALF}{name}"
    if fold is not None:
        trainer_id = f"{FOLD}{TRAINER}{fold_label(name, fold)}"
    config = training_config(recipe, name, work_root, trainer_id)
    if until is not None:
        config["until"] = until
    if fold is not None:
        config["fold"] = [fold, recipe.teacher.folds]
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


def training_config(recipe: Recipe, name: str, work_root: str | None, node: str) -> dict[str, Any]:
    """Returns the `CustomConfig` of a node that trains a model of `Recipe.trained`, as plain values."""
    training = recipe.training_of(name)
    # A default goes without saying: TFX's cache goes by this.
    config = {"variant": str(recipe.trained[name]), "training": training.model_dump()}
    if start := recipe.start_of(name):
        config["start_from"] = start
    if not (training.keep_snapshots or recipe.averaging.automatic or recipe.halving.enabled):
        # Which snapshots are of use is known. A variant that is stopped at half time has others than one that goes on.
        config["averaging"] = recipe.averaging.model_dump(
            include={"single_every", "automatic", "fractions", "steps", "decays"}
        )
    if recipe.data.num_classes != NUM_CLASSES:
        config["num_classes"] = recipe.data.num_classes
    if work_root:
        config["work_dir"] = posixpath.join(work_root, node)
    return config


def chain(recipe: Recipe, trainers: Mapping[str, BaseComponent]) -> None:
    """Makes each Trainer wait for the one before it in its chain, if only some may run at the same time.

    The wait is a dependency without data: every version of Kubeflow Pipelines knows it, and no cache counts it.

    Args:
        recipe: The recipe.
        trainers: The components by what their trainings are called: variants, students, or `fold_labels`.
    """
    for name, before in _waits(recipe, trainers).items():
        if before is not None:
            trainers[name].add_upstream_node(trainers[before])


def in_order(recipe: Recipe, trainings: Mapping[str, T]) -> list[T]:
    """Sorts things, one for each training, by its name, into the order in which the Trainers start."""
    return [trainings[name] for name in _waits(recipe, trainings)]


def _named(recipe: Recipe, of_variants: Sequence[T]) -> dict[str, T]:
    return dict(zip(recipe.variants_by_name, of_variants, strict=True))


def _waits(recipe: Recipe, trainings: Mapping[str, Any]) -> dict[str, str | None]:
    names = {name: name for name in recipe.trained} | fold_labels(recipe)
    work = training_work(recipe, {called: names[called] for called in trainings})
    return waits_for(work, recipe.kubernetes.max_parallel_trainers)
