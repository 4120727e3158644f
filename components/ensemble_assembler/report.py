"""What the assembler reports: the models, the best ensembles of them, and an analysis of the one that it wrote."""

from pydantic import Field

from components.report_file import ReportPart, StepReport
from trainer.metrics.calibration import CalibrationBin
from trainer.metrics.video_metrics import Metrics


class ModelRow(ReportPart):
    """A model in one stored form, which could become a member."""

    variant: str = Field(description="Name of the architecture, such as K24-H1440.")
    form: str = Field("float16", description="Name of the stored form; earlier versions knew float16 alone.")
    bytes: int = Field(description="Bytes of its tensors as stored.")
    gap: float = Field(description="Its own GAP on the eval split.")
    inferior_to: str | None = Field(
        description="The variant that is no larger and at least as good, for which this one is left out; None if it "
        "may become a member."
    )
    inferior_to_form: str | None = Field(None, description="The stored form of that variant.")


class EnsembleRow(ReportPart):
    """An ensemble whose GAP was measured."""

    members: tuple[str, ...] = Field(description="The variants.")
    forms: tuple[str, ...] = Field(
        (), description="The stored form of each member; empty where all are float16."
    )
    weights: tuple[float, ...] = Field(description="The weight of each member; their sum is 1.")
    bytes: int = Field(description="Bytes of the tensors of all members as stored.")
    gap: float = Field(description="GAP on the eval split.")


class ClassRow(ReportPart):
    """How well the ensemble finds one class."""

    index: int = Field(alias="class", description="Number of the class, 0 to V - 1.")
    name: str | None = Field(description="Name of the class; None without a vocabulary.")
    average_precision: float = Field(description="0 to 1.")
    labels: int = Field(description="Videos of the eval split that have this class as a label.")


class ClassLists(ReportPart):
    """The classes that the ensemble finds best and worst."""

    measured: int = Field(description="Classes that have a label in the eval split.")
    ranked: int = Field(description="Classes that have enough labels to be compared.")
    least_labels: int = Field(description="Number of labels from which on a class is ranked.")
    best: tuple[ClassRow, ...] = Field(description="Up to 50 ranked classes, the best first.")
    worst: tuple[ClassRow, ...] = Field(description="Up to 50 other ranked classes, the worst first.")


class CalibrationCurve(ReportPart):
    """How often the ensemble is right at each confidence, over the 20 best classes of every video."""

    pairs: int = Field(description="Pairs (video, class) in all bins.")
    error: float = Field(description="Expected calibration error, 0 to 1.")
    bins: tuple[CalibrationBin, ...] = Field(description="Bins of equal width from confidence 0 to 1.")


class VerticalRow(ReportPart):
    """The metrics on the videos that have a label in one vertical."""

    name: str = Field(description="Name of the vertical, such as Sports.")
    metrics: Metrics


class Analysis(ReportPart):
    """Where the ensemble that was written is good, and where it is not."""

    classes: ClassLists
    calibration: CalibrationCurve
    verticals: tuple[VerticalRow, ...] = Field(
        description="The largest vertical first; empty without a vocabulary."
    )
    predicted: dict[int, float] = Field(
        {},
        description="Sum of the scores by class, over the 20 best classes of every video; no class without any.",
    )


class EnsembleReport(StepReport):
    """All that the assembler found on the eval split."""

    videos: int = Field(description="Videos of the eval split.")
    limit_bytes: int = Field(description="Largest size of an ensemble.")
    members: tuple[ModelRow, ...] = Field(
        description="All models in all their forms, in the order in which they were given."
    )
    combinations_fitting: int = Field(
        description="Combinations that were searched: all that fit into the limit, unless these are very many."
    )
    ensembles: tuple[EnsembleRow, ...] = Field(
        description="The ensemble that was written, then the others by decreasing GAP."
    )
    analysis: Analysis | None = Field(None, description="None in reports of versions that made no analysis.")
