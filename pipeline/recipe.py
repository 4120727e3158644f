"""A recipe: everything that decides what a run of the pipeline does."""

import os
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, model_validator

from components.checkpoint_averager.config import AveragingConfig
from pipeline.recipe_errors import complaints
from pipeline.recipe_sections import (
    BeamSection,
    BlessingSection,
    CompressionSection,
    DataSection,
    EnsembleSection,
    PushSection,
    Section,
    ServingSection,
)
from trainer.config import TrainingConfig
from trainer.errors import UserError
from trainer.variant import MIB, Variant


def _variant(value: Any) -> Variant:
    if isinstance(value, Variant):
        return value
    try:
        return Variant.parse(str(value))
    except UserError as error:
        raise ValueError(str(error)) from None


VariantName = Annotated[Variant, BeforeValidator(_variant), PlainSerializer(str)]
"""Written K24-H1440 in YAML."""


def _absolute(path: str) -> str:
    return path if "://" in path else os.path.abspath(path)


class Recipe(Section):
    """What is read, trained, averaged, compressed, assembled, blessed and pushed."""

    name: str = Field(
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$",
        max_length=60,
        description="Of the pipeline: lower-case letters, digits and hyphens.",
    )
    data: DataSection
    variants: tuple[VariantName, ...] = Field(min_length=1, description="One model is trained of each.")
    training: TrainingConfig = TrainingConfig()
    training_overrides: dict[VariantName, dict[str, Any]] = Field(
        default_factory=dict, description="Keys of `training` that differ for a variant."
    )
    averaging: AveragingConfig = AveragingConfig()
    compression: CompressionSection = CompressionSection()
    ensemble: EnsembleSection = EnsembleSection()
    blessing: BlessingSection = BlessingSection()
    push: PushSection
    serving: ServingSection = ServingSection()
    beam: BeamSection = BeamSection()

    def training_of(self, variant: Variant) -> TrainingConfig:
        """The training section with the variant's overrides."""
        override = self.training_overrides.get(variant, {})
        return TrainingConfig.model_validate({**self.training.model_dump(), **override})

    def with_absolute_paths(self) -> "Recipe":
        """The same, with what counts from the current directory spelt out; addresses with a scheme stay."""
        data = self.data.model_copy(
            update={
                "train": tuple(map(_absolute, self.data.train)),
                "validate_": tuple(map(_absolute, self.data.validate_)),
                "vocabulary": self.data.vocabulary and _absolute(self.data.vocabulary),
            }
        )
        push = self.push.model_copy(update={"directory": _absolute(self.push.directory)})
        return self.model_copy(update={"data": data, "push": push})

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
        smallest = min(variant.float16_bytes() for variant in self.variants)
        if smallest > self.ensemble.limit_bytes:
            raise ValueError(
                f"ensemble.limit_mib: no variant fits into {self.ensemble.limit_mib:g} MiB, "
                f"the smallest takes {smallest / MIB:.2f} in float16"
            )
        return self
