"""What the Teacher reports."""

from pydantic import Field

from components.report_file import StepReport


class TeacherReport(StepReport):
    """How many soft targets were made, of what, and how fast."""

    models: tuple[str, ...] = Field(
        description="Variants of the members of each model that scored, joined by +."
    )
    videos: int = Field(description="Videos that were scored.")
    classes: int = Field(description="Classes that were kept, of all videos together.")
    bytes: int = Field(description="Bytes of the soft targets.")
    examples_bytes: int = Field(description="Bytes of the files of videos that were scored.")
    files: int = Field(description="Files that were scored.")
    resumed_files: int = Field(description="Files that an earlier attempt had scored.")
    seconds: float = Field(description="Time that this attempt took to score the other files.")
