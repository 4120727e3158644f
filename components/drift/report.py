"""What the comparison of two sets of videos found."""

from pydantic import Field

from components.report_file import ReportPart, StepReport

FEATURES = "features"
"""Name of the measure of the frames' features."""


class Measure(ReportPart):
    """One difference."""

    name: str = Field(description="classes, labels_per_video, frames, features, or of predictions: scores.")
    value: float = Field(
        description="Jensen-Shannon divergence in bits, 0 to 1; of features the root mean square, over the dimensions "
        "of a frame, of the difference of the means in standard deviations."
    )
    threshold: float = Field(
        description="Value above which it counts as drift: what the recipe allows, and what samples of these sizes "
        "differ by chance."
    )

    @property
    def is_drift(self) -> bool:
        """Whether the value is above the threshold."""
        return self.value > self.threshold


class ClassMove(ReportPart):
    """How the share of one class has changed."""

    index: int = Field(alias="class", description="Number of the class, 0 to V - 1.")
    name: str | None = Field(None, description="Name of the class; None without a vocabulary.")
    before: float = Field(description="Labels of this class as a share of all labels, 0 to 1.")
    now: float = Field(description="The same of the new videos.")


class DriftReport(StepReport):
    """The differences between new videos and those that the served model was trained on."""

    span: int = Field(0, description="The span of the new videos; 0 where the data have none.")
    videos: int = Field(description="New videos.")
    served_version: int | None = Field(
        description="The version that they are compared with; None where none is served, or it does not say what it "
        "was trained on."
    )
    served_videos: int = Field(0, description="Videos that it was trained on.")
    measures: tuple[Measure, ...] = Field((), description="All differences that were measured.")
    moved: tuple[ClassMove, ...] = Field(
        (), description="The classes whose share has changed most, by decreasing change."
    )

    @property
    def alert(self) -> str | None:
        """One line that names what has drifted; None where nothing has."""
        found = [
            f"{one.name} {one.value:.4f} (allowed {one.threshold:g})" for one in self.measures if one.is_drift
        ]
        return (
            f"the new videos differ from those that version {self.served_version} was trained on: {', '.join(found)}"
            if found
            else None
        )
