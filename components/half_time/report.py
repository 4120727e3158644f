"""What a variant has reached at half time, and what HalfTime decided for all of them."""

from typing import ClassVar

from pydantic import Field

from components.report_file import StepReport
from trainer.base.errors import UserError


class HalfTimeResult(StepReport):
    """What one variant has reached when half of its training is done; it lies in the directory of its run."""

    FILE: ClassVar[str] = "half_time.json"

    variant: str = Field(description="Name of the architecture, such as K24-H1440.")
    step: int = Field(description="Training steps done.")
    bytes: int = Field(description="Bytes of its tensors as they are stored in an ensemble.")
    gap: float = Field(description="GAP on the eval split.")
    videos: int = Field(description="Videos of the eval split.")


class HalfTimeVerdict(HalfTimeResult):
    """What one variant has reached, and whether it is trained to the end."""

    stopped_for: str | None = Field(
        description="The smaller and better variant for which this one is stopped; None if it goes on."
    )


class HalfTimeReport(StepReport):
    """The verdicts on all variants."""

    lead: float = Field(description="Difference of GAP that is not taken for noise.")
    variants: tuple[HalfTimeVerdict, ...]

    def verdict_on(self, variant: str) -> HalfTimeVerdict:
        """Finds the verdict on the variant of that name.

        Raises:
            UserError: If there is none.
        """
        for verdict in self.variants:
            if verdict.variant == variant:
                return verdict
        known = ", ".join(one.variant for one in self.variants) or "none"
        raise UserError(
            f"half time has no verdict on {variant}, only on {known}: run the first halves of this recipe again"
        )
