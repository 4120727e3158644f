"""The small sections of a recipe.

The sections training and averaging are defined beside the code that they configure; `data`, `beam` and `kubernetes`
have files of their own.
"""

from pydantic import ConfigDict, Field, model_validator

from components.teacher.config import TeacherConfig
from pipeline.recipe.field_types import FileAddress, ServedName, SpanWindow
from pipeline.recipe.form_name import FormName
from serving.export.codecs import FLOAT16
from serving.export.device_weights import DeviceWeights
from serving.export.stored_form import StoredForm
from trainer.base.settings import Settings
from trainer.base.units import LARGEST_MIB, MIB

_ALL_SPANS = 2**31 - 1
"""The largest number of spans that TFX's RangeConfig takes."""


def span_range(window: str) -> tuple[int, int]:
    """Returns the first span number of a window, and how many numbers up to the newest it has at most."""
    kind, _, number = window.partition("-")
    if kind == "since":
        return int(number), _ALL_SPANS
    return 0, int(number or 1)


class Section(Settings):
    """A part of a recipe: immutable, and an unknown key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class HalvingSection(Section):
    """The stop rule: a variant that is larger and worse than another of its family at half of its steps is stopped."""

    enabled: bool = Field(
        False,
        description="Train all variants to half of their steps, judge, and train on those that are left.",
    )
    lead: float = Field(
        0.0,
        ge=0,
        le=1,
        description="How much larger the GAP of the smaller variant must be; less is taken for noise.",
    )


class CompressionSection(Section):
    """The storage of the big tensors in fewer bytes: as float16 (paper, section 2.2), or in a ladder of forms."""

    tolerance: float = Field(
        1e-4,
        gt=0,
        description="Largest change of GAP by float16 on 17,600 videos; on fewer it grows with the square root.",
    )
    ladder: tuple[FormName, ...] = Field(
        (),
        description="Forms that every model is stored in, such as [float16, int8, int4-b128]; the assembler chooses "
        "among them. A tensor may have a codec of its own: int4-b128+gating_prob/weights=lowrank-r256-int8. Empty: "
        "float16 alone.",
    )
    calibration_videos: int = Field(
        3000,
        ge=0,
        description="Train videos whose activations the forms of `ladder` are rounded by; 0: none.",
    )

    @model_validator(mode="after")
    def _forms_differ(self) -> "CompressionSection":
        twice = sorted({str(form) for form in self.ladder if self.ladder.count(form) > 1})
        if twice:
            raise ValueError(f"ladder: {', '.join(twice)} stands there more than once")
        return self

    @property
    def forms(self) -> tuple[StoredForm, ...]:
        """All forms that a model is stored in."""
        return self.ladder or (StoredForm(FLOAT16),)


class TeacherSection(TeacherConfig):
    """The teacher of the students: the ensemble of the variants, or a model that is there already."""

    directory: FileAddress | None = Field(
        None,
        description="SavedModel of this project, or directory of its versions, that teaches in place of the variants' "
        "ensemble. Name a version: TFX's cache goes by the address.",
    )
    limit_mib: float | None = Field(
        None,
        gt=0,
        le=LARGEST_MIB,
        description="Largest size of the ensemble that teaches, which is not served; none for ensemble.limit_mib.",
    )
    folds: int = Field(
        1,
        ge=1,
        le=20,
        description="From 2 on the train files are divided into so many parts, and each is scored by an ensemble whose "
        "models were trained on the others: a teacher that has seen a video teaches what it learnt by heart. Every "
        "variant is then trained so many times more.",
    )

    @property
    def config(self) -> TeacherConfig:
        """The settings of the Teacher step itself."""
        return TeacherConfig(**self.model_dump(include=set(TeacherConfig.model_fields)))

    @model_validator(mode="after")
    def _a_model_has_no_folds(self) -> "TeacherSection":
        if self.directory and (self.folds > 1 or self.limit_mib):
            raise ValueError(
                "directory names a model that is there already: folds and limit_mib are not for it"
            )
        return self


class EnsembleSection(Section):
    """The choice of the ensemble's members and weights (paper, section 2.3)."""

    limit_mib: float = Field(
        1024, gt=0, le=LARGEST_MIB, description="Largest size of the whole model, in MiB of 2**20 bytes."
    )

    @property
    def limit_bytes(self) -> int:
        """The limit in bytes, rounded down."""
        return int(self.limit_mib * MIB)


class BlessingSection(Section):
    """The conditions under which a candidate is pushed."""

    gap_floor: float = Field(
        0.0, ge=0, le=1, description="Least GAP on the holdout or, without one, on the eval split."
    )
    max_gap_drop: float = Field(
        0.001,
        ge=0,
        le=1,
        description="How far the GAP may be below that of the model served now, on all videos and in each span.",
    )
    spans: SpanWindow = Field(
        "newest",
        description="Spans that candidate and served model are compared on beside those of data.spans, written in the "
        "same way: last-4 sees that what is trained on the newest span forgets nothing of the three before it.",
    )


class DriftSection(Section):
    """How far the newest span may differ from the data of the served model before a line says so.

    The first three are Jensen-Shannon divergences in bits, 0 to 1. What samples of these sizes differ by chance is
    added.
    """

    classes: float = Field(0.02, ge=0, le=1, description="Divergence of the frequencies of the labels.")
    labels_per_video: float = Field(
        0.02, ge=0, le=1, description="Divergence of the numbers of labels of the videos."
    )
    frames: float = Field(0.02, ge=0, le=1, description="Divergence of the numbers of frames of the videos.")
    features: float = Field(
        0.1,
        ge=0,
        description="Shift of the means of the features, root mean square in standard deviations.",
    )
    stop: bool = Field(False, description="End the run before anything is trained where there is drift.")

    @property
    def thresholds(self) -> dict[str, float]:
        """The thresholds by the name of their measure."""
        return self.model_dump(exclude={"stop"})


class PushSection(Section):
    """The place that a blessed model is pushed to."""

    directory: FileAddress = Field(
        description="Base directory of the versions, local or gs://, as TensorFlow Serving watches it."
    )
    licence: str = Field(
        "unknown",
        description="Licence of the model, which its card states, by Hugging Face's names: apache-2.0.",
    )
    litert: bool = Field(
        False,
        description="Whether a LiteRT file for devices goes with each version, as assets.extra/yt8m.tflite. It is "
        "checked with 200 videos of the split that judges.",
    )
    litert_weights: DeviceWeights = Field(DeviceWeights.INT8, description="How that file stores the weights.")


class ServingSection(Section):
    """The settings of the served model."""

    model_name: ServedName = Field("yt8m", description="Name that requests ask for.")
