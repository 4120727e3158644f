"""What a judge of a candidate says: whether it may be pushed, and why."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from components.report_file import ReportPart, StepReport

REASONS_FILE = "blessing_reasons.json"
"""Name of the verdict's file in a blessing artifact."""


class Check(ReportPart):
    """One condition that a candidate has to meet."""

    name: str = Field(
        description="What was checked. The Evaluator: labels, gap_floor, served_gap, tensor_bytes, directory_bytes or "
        "evaluation. The ModelServerValidator: load, the name of a probe, or bad_record."
    )
    passed: bool = Field(description="Whether the candidate meets it.")
    text: str = Field(description="One sentence for people, with the numbers on both sides.")


class Verdict(StepReport):
    """The outcome of all checks of one judge."""

    FILE: ClassVar[str] = REASONS_FILE

    blessed: bool = Field(description="Whether every check passed.")
    reasons: tuple[str, ...] = Field(
        description="The texts of the checks that failed or, if none did, of all checks."
    )
    checks: tuple[Check, ...] = Field((), description="All checks; earlier versions did not write them.")

    @classmethod
    def from_checks(cls, checks: Sequence[Check]) -> "Verdict":
        """Returns the verdict that follows from the checks: a candidate is blessed if it passed every one.

        >>> Verdict.from_checks([Check(name="labels", passed=False, text="no video has labels")]).reasons
        ('no video has labels',)
        """
        failed = [check for check in checks if not check.passed]
        return cls(
            blessed=not failed, reasons=tuple(check.text for check in failed or checks), checks=tuple(checks)
        )
