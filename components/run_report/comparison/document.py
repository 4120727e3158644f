"""The comparison of several runs. What stands in a list of runs is in their order."""

from pydantic import Field

from components.report_file import ReportPart
from components.run_report.comparison.recipe_difference import RecipeDifference
from components.run_report.curves import Curve


class ComparedRun(ReportPart):
    """What one run has reached; None for what it has not."""

    name: str = Field(description="What the user calls it.")
    run_id: str | None
    state: str | None
    seconds: float | None
    eval_videos: int | None = Field(description="Videos that its ensemble was measured on.")
    split: str | None = Field(description="The split of these videos: the holdout, where the run has one.")
    gap: float | None = Field(description="GAP of its ensemble on that split.")
    selection_gap: float | None = Field(description="GAP on the eval split, where `gap` is of the holdout.")
    hit_at_one: float | None
    perr: float | None
    map: float | None
    mib: float | None = Field(description="Size of its best ensemble as stored, in MiB of 2**20 bytes.")
    limit_mib: float | None
    members: list[str] | None = Field(description="Names of the members of its best ensemble.")
    weights: tuple[float, ...] | None
    pushed_version: int | None
    version: str | None = Field(description="Version of the code.")
    commit: str | None
    gap_to_best: float | None = Field(
        None, description="Difference of `gap` to the best of the runs that were measured on the same videos."
    )
    why_no_difference: str | None = Field(None, description="Why there is no such difference.")


class MemberOfRun(ReportPart):
    """A member in one run."""

    stored_mib: float | None
    gap: float | None
    average_gap: float | None
    single_gap: float | None
    training_seconds: float | None = Field(description="None where it was not trained in this run.")


class ComparedMember(ReportPart):
    """A member in all runs."""

    variant: str = Field(description="Its name; see `MemberRow.name`.")
    runs: tuple[MemberOfRun | None, ...]


class ComparedEnsemble(ReportPart):
    """One of the best ensembles of a run."""

    members: list[str] = Field(description="Names of the members.")
    mib: float
    gap: float


class Comparison(ReportPart):
    """Several runs side by side."""

    runs: tuple[ComparedRun, ...]
    recipes: tuple[RecipeDifference, ...]
    same_eval_videos: bool = Field(
        description="Whether the eval splits, of which the GAPs of members and ensembles are, are known to be the same."
    )
    curves: dict[str, dict[str, tuple[Curve | None, ...]]] = Field(
        description="Of the variants that two runs or more trained, by tag and variant."
    )
    members: tuple[ComparedMember, ...] = Field(description="By decreasing size.")
    ensembles: tuple[tuple[ComparedEnsemble, ...], ...] = Field(
        description="The 20 best ensembles of each run."
    )
