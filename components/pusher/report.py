"""What became of a candidate that was to be pushed."""

from typing import ClassVar

from pydantic import Field

from components.pusher.files import RESULT_FILE
from components.report_file import StepReport


class PushResult(StepReport):
    """Whether a candidate was pushed, where to, and why or why not."""

    FILE: ClassVar[str] = RESULT_FILE

    pushed: bool = Field(description="Whether the candidate is served now, be it that it was served before.")
    version: int | None = Field(description="Number of the version; None if it was not pushed.")
    destination: str | None = Field(description="Directory of the version; None if it was not pushed.")
    reason: str = Field(description="One sentence for people.")
    litert: str | None = Field(
        None, description="Address of the LiteRT file in the version; None where there is none."
    )
    model_card: str | None = Field(None, description="The model card, as Markdown; None in earlier versions.")
