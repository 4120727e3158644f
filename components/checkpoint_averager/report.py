"""What the averager reports of one variant."""

from pydantic import Field

from components.checkpoint_averager.candidate import Candidate
from components.report_file import StepReport


class AveragingReport(StepReport):
    """All single snapshots and averages that were evaluated, and the best of them."""

    variant: str = Field(description="Name of the architecture, such as K24-H1440.")
    videos: int = Field(description="Videos of the eval split, on which each candidate was evaluated.")
    candidates: tuple[Candidate, ...] = Field(description="In the order of their evaluation.")
    best: Candidate = Field(description="The candidate whose weights were written.")
    best_single: Candidate | None = Field(
        description="The best single snapshot; None where none was evaluated."
    )
    best_average: Candidate | None = Field(description="The best average; None where none was evaluated.")
    damaged: tuple[int, ...] = Field((), description="Steps of the snapshots that were left out as damaged.")
