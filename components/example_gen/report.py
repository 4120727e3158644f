"""What ExampleGen reports of the data."""

from pydantic import Field

from components.report_file import ReportPart, StepReport
from trainer.data.checks.lost_files import LostFile


class SplitCounts(ReportPart):
    """What was written to one split."""

    files: int = Field(description="Input files, each of which is one shard.")
    videos: int = Field(description="Valid videos with labels.")
    frames: int = Field(description="Frames of these videos.")
    labels: int = Field(description="Labels of these videos.")
    unlabelled: int = Field(0, description="Videos without labels, which were left out.")


class ExampleGenReport(StepReport):
    """What was read, what was written, and what was lost."""

    span: int = Field(0, description="The span that was read; 0 where the patterns have none.")
    splits: dict[str, SplitCounts] = Field(description="What was written, by the name of the split.")
    rejected: dict[str, int] = Field(
        description="Lost videos by the reason; what lost and cut files held is estimated."
    )
    rejected_videos: int = Field(description="Lost videos in all.")
    share: float = Field(
        description="Lost videos as a share of these and the ones that were written, 0 to 1."
    )
    unlabelled_videos: int = Field(0, description="Videos without labels, which are left out but not lost.")
    editions: dict[str, int] = Field(
        {}, description="Valid records by the edition of YouTube-8M that they are of."
    )
    losses: tuple[LostFile, ...] = Field((), description="Files that are lost or cut.")
    copies: dict[str, str] = Field(
        {}, description="Files that are copies, each with the file that it is a copy of."
    )
    left_out_files: tuple[str, ...] = Field((), description="Files named test*, which have no labels.")

    @property
    def videos(self) -> int:
        """Videos of all splits."""
        return sum(counts.videos for counts in self.splits.values())
