"""Builds the part of the DAG that distils: the ensembles that teach, the Teacher, and its students."""

import posixpath
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from tfx.components import Trainer
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.types.channel import BaseChannel

from components.ensemble_assembler.component import EnsembleAssembler
from components.example_validator.component import ExampleValidator
from components.student_trainer.component import StudentTrainer
from components.teacher.component import Teacher
from pipeline.dag.model_line import ModelLine, member_names, model_line
from pipeline.dag.trainer_order import FOLD, TEACHER, TEACHING_ASSEMBLER, TRAINER, fold_label, fold_labels
from pipeline.dag.trainings import chain, training_config
from pipeline.recipe.recipe import Recipe
from trainer.base.units import MIB


class Teaching(NamedTuple):
    """The components that distil.

    Attributes:
        folds: The components of each variant without one part of the train files, by `fold_labels`.
        assemblers: The assemblers of the ensembles that teach, one or one for each fold; none where a model is there.
        teacher: The Teacher; None where the recipe has no students, or none that learns from soft targets.
        students: The components of each student, by its name in `Recipe.trained`.
    """

    folds: Mapping[str, ModelLine] = MappingProxyType({})
    assemblers: Sequence[EnsembleAssembler] = ()
    teacher: Teacher | None = None
    students: Mapping[str, ModelLine] = MappingProxyType({})

    @property
    def nodes(self) -> list[BaseComponent]:
        """The assemblers and the Teacher."""
        return [*self.assemblers, *([self.teacher] if self.teacher else ())]


def teaching_of(
    recipe: Recipe,
    examples: BaseChannel,
    validator: ExampleValidator,
    variants: Mapping[str, ModelLine],
    fold_trainers: Mapping[str, Trainer],
    work_root: str | None,
) -> Teaching:
    """Returns the components that distil, none where the recipe has no students.

    Args:
        recipe: The recipe.
        examples: The examples.
        validator: The component that must have passed the examples before anything is made of them.
        variants: The components of each variant, by its name.
        fold_trainers: The trainings without one part of the train files, by `fold_labels`.
        work_root: See `build_pipeline`.
    """
    if not recipe.students:
        return Teaching()
    names = fold_labels(recipe)
    folds = {
        label: model_line(
            recipe,
            label,
            recipe.training_of(names[label]),
            trainer,
            [trainer.outputs["model_run"]],
            examples,
            FOLD,
        )
        for label, trainer in fold_trainers.items()
    }
    assemblers = _assemblers(recipe, examples, variants, folds)
    models, directory = [assembler.outputs["model"] for assembler in assemblers], recipe.teacher.directory
    teacher = None
    if recipe.has_soft_targets:
        work_dir = posixpath.join(work_root, TEACHER) if work_root else None
        teacher = Teacher(examples, models, recipe.teacher.config, directory, work_dir)
        teacher.add_upstream_node(validator)
    trainers, students = {}, {}
    for name in recipe.students_by_name:
        node, training = f"{TRAINER}{name}", recipe.training_of(name)
        config = training_config(recipe, name, work_root, node)
        if training.uses_soft_targets:
            trainer = StudentTrainer(examples, config, soft_targets=teacher.outputs["soft_targets"])
        else:
            trainer = StudentTrainer(
                examples, config, teacher=models[0] if models else None, directory=directory
            )
            trainer.add_upstream_node(validator)
        trainer = trainer.with_id(node)
        trainers[name] = trainer
        students[name] = model_line(recipe, name, training, trainer, [trainer.outputs["model_run"]], examples)
    chain(recipe, trainers)
    return Teaching(folds, assemblers, teacher, students)


def _assemblers(
    recipe: Recipe, examples: BaseChannel, variants: Mapping[str, ModelLine], folds: Mapping[str, ModelLine]
) -> list[EnsembleAssembler]:
    """One assembler, or one for each fold; none where a model is there already."""
    if recipe.teacher.directory:
        return []
    groups = {TEACHING_ASSEMBLER: list(variants.values())}
    if folds:
        groups = {
            f"{TEACHING_ASSEMBLER}-{fold}": [folds[fold_label(name, fold)] for name in variants]
            for fold in range(recipe.teacher.folds)
        }
    limit = recipe.ensemble.limit_bytes
    if recipe.teacher.limit_mib:
        limit = int(recipe.teacher.limit_mib * MIB)
    return [
        EnsembleAssembler(
            models=[line.compressor.outputs["model"] for line in lines],
            examples=examples,
            limit_bytes=limit,
            names=member_names(recipe, variants),
        ).with_id(node)
        for node, lines in groups.items()
    ]
