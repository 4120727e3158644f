"""A recipe: everything that decides what a run of the pipeline does."""

import os
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from components.checkpoint_averager.config import AveragingConfig
from pipeline.recipe.beam import BeamSection
from pipeline.recipe.data_section import DataSection
from pipeline.recipe.errors import complaints
from pipeline.recipe.field_types import RecipeName
from pipeline.recipe.kubernetes import KubernetesSection
from pipeline.recipe.sections import (
    BlessingSection,
    CompressionSection,
    DriftSection,
    EnsembleSection,
    HalvingSection,
    PushSection,
    Section,
    ServingSection,
    TeacherSection,
)
from pipeline.recipe.variant_name import VariantName
from serving.export.compression import stored_bytes
from serving.export.device_weights import LARGEST
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.model.architectures import Architecture
from trainer.model.model_spec import ModelSpec
from trainer.training.config import PREVIOUS, SCRATCH, TrainingConfig

STUDENT = "Student-"
"""Stands before the name of a student's architecture, since a variant may have the same."""
_SEED = "-Seed"
"""Stands behind the name of a further model of a variant, with what is added to its seed."""


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


def _started_absolutely(training: dict[str, Any]) -> dict[str, Any]:
    if training.get("start", SCRATCH) in (SCRATCH, PREVIOUS):
        return training
    return {**training, "start": _absolute(training["start"])}


class Recipe(Section):
    """Everything that decides what a run reads, trains, averages, compresses, assembles, blesses and pushes."""

    name: RecipeName = Field(description="Name of the pipeline: lower-case letters, digits and hyphens.")
    data: DataSection
    variants: tuple[VariantName, ...] = Field(
        (),
        description="Names of architectures; one model is trained of each. K24-H1440 has 24 clusters, "
        "1440 hidden units and the paper's 5 mixtures; with two, K24-H1440-M2. At least one, but for "
        "students of a `teacher.directory`.",
    )
    students: tuple[VariantName, ...] = Field(
        (),
        description="Names of architectures that are trained behind the others, towards their labels and what a "
        "teacher says, as `training.distillation` has it. They may become members of the final ensemble, too.",
    )
    seeds: dict[str, Annotated[int, Field(ge=1, le=100)]] = Field(
        default_factory=dict,
        description="How many models are trained of a variant, such as `{K8-H256: 3}`, or of a student, "
        "`{Student-K8-H256: 2}`; one where nothing is said. They differ in `training.seed`: K8-H256-Seed1 has one more "
        "than K8-H256. Lakshminarayanan et al. 2017: several small models may be worth more than one large.",
    )
    teacher: TeacherSection = TeacherSection()
    training: TrainingConfig = TrainingConfig()
    training_overrides: dict[VariantName, dict[str, Any]] = Field(
        default_factory=dict, description="Keys of `training` that differ for a variant, by variant."
    )
    student_training: dict[str, Any] = Field(
        default_factory=dict,
        description="Keys of `training` that differ for all students, whatever `training_overrides` says of their "
        "variants.",
    )
    halving: HalvingSection = HalvingSection()
    averaging: AveragingConfig = AveragingConfig()
    compression: CompressionSection = CompressionSection()
    ensemble: EnsembleSection = EnsembleSection()
    blessing: BlessingSection = BlessingSection()
    drift: DriftSection = DriftSection()
    push: PushSection
    serving: ServingSection = ServingSection()
    beam: BeamSection = BeamSection()
    kubernetes: KubernetesSection = KubernetesSection()

    def training_of(self, name: str | Architecture) -> TrainingConfig:
        """Returns the training section with what differs for a model, by its name in `trained`, or for a variant."""
        name = str(name)
        values = {**self.training.model_dump(), **self.training_overrides.get(self.trained[name], {})}
        if name in self.students_by_name:
            values |= self.student_training
            values["distillation"] = values.get("distillation") or {}
        else:
            values["distillation"] = None
        training = TrainingConfig.model_validate(values)
        _, _, further = name.partition(_SEED)
        return training.model_copy(update={"seed": training.seed + int(further)}) if further else training

    @property
    def trained(self) -> dict[str, Architecture]:
        """The architecture of each model that is trained, by what reports call it.

        They are called `K8-H256`, as a student `Student-K8-H256`, and further ones, of `seeds`, `K8-H256-Seed1`.
        """
        return self.variants_by_name | self.students_by_name

    @property
    def variants_by_name(self) -> dict[str, Architecture]:
        """The models of `trained` that are no students."""
        return self._named("", self.variants)

    @property
    def students_by_name(self) -> dict[str, Architecture]:
        """The models of `trained` that are students."""
        return self._named(STUDENT, self.students)

    def _named(self, prefix: str, architectures: Iterable[Architecture]) -> dict[str, Architecture]:
        return {
            f"{prefix}{one}{_SEED}{further}" if further else f"{prefix}{one}": one
            for one in architectures
            for further in range(self.seeds.get(f"{prefix}{one}", 1))
        }

    @property
    def has_soft_targets(self) -> bool:
        """Whether a student learns from soft targets, which a Teacher makes beforehand."""
        return any(self.training_of(name).uses_soft_targets for name in self.students_by_name)

    def start_of(self, name: str | Architecture) -> str | None:
        """Returns the directory of the model, or of its versions, that a training starts from; see `training_of`."""
        start = self.training_of(name).start
        if start == SCRATCH:
            return None
        return self.push.directory if start == PREVIOUS else start

    def spec_of(self, variant: Architecture) -> ModelSpec:
        """Returns the model that is trained for a variant."""
        return ModelSpec(variant, self.data.num_classes)

    def with_absolute_paths(self) -> "Recipe":
        """Returns the recipe with relative paths made absolute; addresses with a scheme stay as they are."""
        data = self.data.model_copy(
            update={
                "train": tuple(map(_absolute, self.data.train)),
                "validate_": tuple(map(_absolute, self.data.validate_)),
                "holdout_files": tuple(map(_absolute, self.data.holdout_patterns)) or self.data.holdout_files,
                "vocabulary": self.data.vocabulary and _absolute(self.data.vocabulary),
            }
        )
        push = self.push.model_copy(update={"directory": _absolute(self.push.directory)})
        directory = self.teacher.directory and _absolute(self.teacher.directory)
        teacher = self.teacher.model_copy(update={"directory": directory})
        update = {
            "data": data,
            "push": push,
            "teacher": teacher,
            "training": _started_absolutely(self.training.model_dump()),
        }
        update["training"] = TrainingConfig.model_validate(update["training"])
        update["training_overrides"] = {
            variant: _started_absolutely(override) for variant, override in self.training_overrides.items()
        }
        update["student_training"] = _started_absolutely(self.student_training)
        return self.model_copy(update=update)

    @model_validator(mode="after")
    def _halves_start_from_scratch(self) -> "Recipe":
        if self.halving.enabled and any(map(self.start_of, self.variants_by_name)):
            raise ValueError(
                f"training.start: with halving.enabled it must be {SCRATCH}: where half of a shorter training ends is "
                "not known beforehand"
            )
        return self

    @model_validator(mode="after")
    def _a_file_for_devices_can_be_made(self) -> "Recipe":
        if self.push.litert:
            specs = [self.spec_of(variant) for variant in self.trained.values()]
            growth = max(
                spec.float32_bytes / stored_bytes(spec, form)
                for spec in specs
                for form in self.compression.forms
            )
            largest = min(growth * self.ensemble.limit_bytes, sum(spec.float32_bytes for spec in specs))
            if largest > LARGEST:
                raise ValueError(
                    f"push.litert: an ensemble within ensemble.limit_mib may have {largest / MIB:,.0f} MiB of "
                    f"weights in float32, and a file for devices can be made of {LARGEST / MIB:,.0f}; set "
                    f"ensemble.limit_mib to {int(LARGEST / growth / MIB)} or less"
                )
        return self

    @model_validator(mode="after")
    def _workers_see_the_data(self) -> "Recipe":
        if self.beam.runner == "DataflowRunner":
            for pattern in self.data.patterns:
                if not pattern.startswith("gs://"):
                    raise ValueError(
                        f"data: Dataflow's workers read gs:// only, not {pattern}; copy the files to a bucket"
                    )
        return self

    @model_validator(mode="after")
    def _spans_are_there(self) -> "Recipe":
        if self.blessing.spans != "newest" and not self.data.has_spans:
            raise ValueError(
                f"blessing.spans is {self.blessing.spans}, and the patterns of data have no {{SPAN}}: write it into "
                "all of them, or leave blessing.spans out"
            )
        return self

    @model_validator(mode="after")
    def _variants_fit(self) -> "Recipe":
        for key, names in (("variants", self.variants), ("students", self.students)):
            twice = sorted({str(name) for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{key}: {', '.join(twice)} stands there more than once")
        if not self.variants and not (self.students and self.teacher.directory):
            raise ValueError("variants: at least one is needed, or students and a teacher.directory")
        if not self.students and (self.teacher != TeacherSection() or self.training.distillation):
            section = "training.distillation" if self.training.distillation else "teacher"
            raise ValueError(f"{section}: there are no students, whom it is for; name some in students")
        trained = {*self.variants, *self.students}
        for variant, override in self.training_overrides.items():
            if variant not in trained:
                raise ValueError(
                    f"training_overrides.{variant}: is not among the variants of this recipe; leave it out, or all "
                    "with training_overrides={}"
                )
            self._check_training(f"training_overrides.{variant}.", override)
        called = {*map(str, self.variants), *(f"{STUDENT}{student}" for student in self.students)}
        for name, number in self.seeds.items():
            if name not in called:
                raise ValueError(
                    f"seeds.{name}: is neither a variant nor a student of this recipe ({', '.join(sorted(called))}); "
                    "leave it out"
                )
            if number > 1 and self.halving.enabled:
                raise ValueError(
                    f"seeds.{name}: with halving.enabled a variant is trained once; leave one of the two out"
                )
        if self.training.distillation and self.student_training.get("distillation"):
            raise ValueError("training.distillation: student_training.distillation has it; change it there")
        # Checked without students as well: a recipe may have it for those that a command line names.
        for override in ({}, *(self.training_overrides.get(variant, {}) for variant in self.students)):
            self._check_training("student_training.", {**override, **self.student_training})
        consistent = [one for one in self.students_by_name if self.training_of(one).asks_teacher]
        if consistent and self.teacher.folds > 1:
            raise ValueError(
                f"teacher.folds: the teacher of {self.trained[consistent[0]]} is consistent, so one model scores every "
                "batch; leave folds out, or distillation.consistent"
            )
        for variant in self.kubernetes.variant_pools:
            if variant not in trained:
                raise ValueError(
                    f"kubernetes.variant_pools.{variant}: is not among the variants of this recipe; leave it out"
                )
        specs = [self.spec_of(variant) for variant in self.trained.values()]
        for form in self.compression.ladder:
            try:
                form.check(*specs)
            except UserError as error:
                fitting = form.without_others(*specs)
                raise ValueError(f"compression.ladder: {error}; write {fitting} instead") from None
        smallest, form = min(
            (stored_bytes(spec, form), form.name) for spec in specs for form in self.compression.forms
        )
        if smallest > self.ensemble.limit_bytes:
            raise ValueError(
                f"ensemble.limit_mib: no variant fits into {self.ensemble.limit_mib:g} MiB, "
                f"the smallest takes {smallest / MIB:.2f} in {form}"
            )
        return self

    @model_validator(mode="after")
    def _ranges_hold_snapshots(self) -> "Recipe":
        taken = {step for name in self.trained for step in self.training_of(name).snapshot_steps()}
        for start, end in self.averaging.steps:
            if not any(start <= step <= end for step in taken):
                raise ValueError(
                    f"averaging.steps: no snapshot is in [{start}, {end}]: they are taken at the steps {min(taken)} to "
                    f"{max(taken)}"
                )
        return self

    def _check_training(self, place: str, override: dict[str, Any]) -> None:
        """Checks the training section with keys that differ; messages name the place where these stand."""
        try:
            TrainingConfig.model_validate({**self.training.model_dump(), **override})
        except ValidationError as error:
            raise ValueError("; ".join(complaints(error, TrainingConfig, place))) from None
