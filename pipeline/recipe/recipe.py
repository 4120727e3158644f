"""A recipe: everything that decides what a run of the pipeline does."""

import os
from typing import Any

from pydantic import Field, ValidationError, model_validator

from components.checkpoint_averager.config import AveragingConfig
from pipeline.recipe.beam import BeamSection
from pipeline.recipe.errors import complaints
from pipeline.recipe.kubernetes import KubernetesSection
from pipeline.recipe.sections import (
    BlessingSection,
    CompressionSection,
    DataSection,
    EnsembleSection,
    HalvingSection,
    PushSection,
    Section,
    ServingSection,
)
from pipeline.recipe.variant_name import VariantName
from serving.export.compression import stored_bytes
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.model.architectures import Architecture
from trainer.model.model_spec import ModelSpec
from trainer.training.config import PREVIOUS, SCRATCH, TrainingConfig


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


def _started_absolutely(training: dict[str, Any]) -> dict[str, Any]:
    if training.get("start", SCRATCH) in (SCRATCH, PREVIOUS):
        return training
    return {**training, "start": _absolute(training["start"])}


class Recipe(Section):
    """Everything that decides what a run reads, trains, averages, compresses, assembles, blesses and pushes."""

    name: str = Field(
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        max_length=60,
        description="Name of the pipeline: lower-case letters, digits and hyphens.",
    )
    data: DataSection
    variants: tuple[VariantName, ...] = Field(
        min_length=1,
        description="Names of architectures; one model is trained of each. K24-H1440 has 24 clusters, "
        "1440 hidden units and the paper's 5 mixtures; with two, K24-H1440-M2.",
    )
    training: TrainingConfig = TrainingConfig()
    training_overrides: dict[VariantName, dict[str, Any]] = Field(
        default_factory=dict, description="Keys of `training` that differ for a variant, by variant."
    )
    halving: HalvingSection = HalvingSection()
    averaging: AveragingConfig = AveragingConfig()
    compression: CompressionSection = CompressionSection()
    ensemble: EnsembleSection = EnsembleSection()
    blessing: BlessingSection = BlessingSection()
    push: PushSection
    serving: ServingSection = ServingSection()
    beam: BeamSection = BeamSection()
    kubernetes: KubernetesSection = KubernetesSection()

    def training_of(self, variant: Architecture) -> TrainingConfig:
        """Returns the training section of a variant, with its overrides."""
        override = self.training_overrides.get(variant, {})
        return TrainingConfig.model_validate({**self.training.model_dump(), **override})

    def start_of(self, variant: Architecture) -> str | None:
        """Returns the directory of the model, or of its versions, that a variant's training starts from."""
        start = self.training_of(variant).start
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
        update = {"data": data, "push": push, "training": _started_absolutely(self.training.model_dump())}
        update["training"] = TrainingConfig.model_validate(update["training"])
        update["training_overrides"] = {
            variant: _started_absolutely(override) for variant, override in self.training_overrides.items()
        }
        return self.model_copy(update=update)

    @model_validator(mode="after")
    def _halves_start_from_scratch(self) -> "Recipe":
        if self.halving.enabled and any(self.start_of(variant) for variant in self.variants):
            raise ValueError(
                f"training.start: with halving.enabled it must be {SCRATCH}: where half of a shorter training ends is "
                "not known beforehand"
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
    def _variants_fit(self) -> "Recipe":
        twice = sorted({str(v) for v in self.variants if self.variants.count(v) > 1})
        if twice:
            raise ValueError(f"variants: {', '.join(twice)} stands there more than once")
        for variant in self.training_overrides:
            if variant not in self.variants:
                raise ValueError(f"training_overrides.{variant}: is not among the variants of this recipe")
            try:
                self.training_of(variant)
            except ValidationError as error:
                place = f"training_overrides.{variant}."
                raise ValueError("; ".join(complaints(error, TrainingConfig, place))) from None
        for variant in self.kubernetes.variant_pools:
            if variant not in self.variants:
                raise ValueError(
                    f"kubernetes.variant_pools.{variant}: is not among the variants of this recipe"
                )
        specs = [self.spec_of(variant) for variant in self.variants]
        for form in self.compression.ladder:
            try:
                form.check(*specs)
            except UserError as error:
                raise ValueError(f"compression.ladder: {error}") from None
        smallest, form = min(
            (stored_bytes(spec, form), form.name) for spec in specs for form in self.compression.forms
        )
        if smallest > self.ensemble.limit_bytes:
            raise ValueError(
                f"ensemble.limit_mib: no variant fits into {self.ensemble.limit_mib:g} MiB, "
                f"the smallest takes {smallest / MIB:.2f} in {form}"
            )
        return self
