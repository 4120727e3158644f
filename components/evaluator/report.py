"""What the Evaluator measured, beside the files that TFMA writes."""

from typing import ClassVar

from pydantic import Field

from components.evaluator.files import HOLDOUT, RESULTS_FILE
from components.report_file import ReportPart, StepReport
from trainer.metrics.video_metrics import Metrics


class SliceMetrics(ReportPart):
    """The metrics on the videos of one bin of a feature."""

    feature: str = Field(description="num_labels, num_frames or, where several are read, span.")
    bin: str = Field(description="The bin, such as 61-120, or the span; see `components.evaluator.slices`.")
    candidate: Metrics | None = Field(description="Metrics of the candidate; None where it was not measured.")
    baseline: Metrics | None = Field(description="Metrics of the served model; None where there is none.")


class EvaluationResults(StepReport):
    """The metrics of the candidate and of the model that is served, on one split."""

    FILE: ClassVar[str] = RESULTS_FILE
    # A candidate whose metrics are NaN is measured and not blessed; the step itself has done its work.
    ALLOWS_NAN: ClassVar[bool] = True

    candidate: Metrics | None = Field(description="Metrics of the candidate; None where there was no video.")
    baseline: Metrics | None = Field(description="Metrics of the served model; None where none is served.")
    slices: tuple[SliceMetrics, ...] = Field((), description="Metrics by slice, ordered by feature and bin.")
    split: str = Field(
        "eval", description="The split that was measured; only written where it is the holdout."
    )
    selection_gap: float | None = Field(
        None,
        description="GAP of the candidate on the split `eval`, by which it was chosen. Only given where the metrics "
        "are of the holdout, and there None where the model's card does not know it.",
    )

    @property
    def is_holdout(self) -> bool:
        """Whether the metrics are of the holdout, on which nothing was trained and nothing was chosen."""
        return self.split == HOLDOUT
