"""The report of a run: what all its steps reported, put together."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, computed_field

from components.checkpoint_averager.report import AveragingReport
from components.compressor.report import LadderReport
from components.drift.report import DriftReport
from components.ensemble_assembler.report import EnsembleReport
from components.evaluator.report import EvaluationResults
from components.example_gen.report import ExampleGenReport
from components.fp16_compressor.report import CompressionReport
from components.half_time.report import HalfTimeReport
from components.pusher.report import PushResult
from components.report_file import ReportPart, StepReport
from components.run_report.curves import Curve
from components.run_report.run_facts import RunFacts
from components.run_report.statistics import SplitStatistics
from components.teacher.report import TeacherReport
from components.verdict import Verdict
from trainer.base.units import MIB

Compression = CompressionReport | LadderReport

_DEFAULT_FORM = "float16"
"""The paper's form, which goes without saying."""


class MemberRow(ReportPart):
    """One stored form of a variant; None for what the run has not measured."""

    variant: str = Field(
        description="What the run calls the model: its variant, or `Student-` and its variant."
    )
    form: str = Field(description="Name of the stored form.")
    float32_mib: float | None = Field(description="Size in float32, in MiB of 2**20 bytes.")
    stored_mib: float | None = Field(description="Size as stored, in MiB.")
    rate: float | None = Field(description="Share of the bytes that the form saves, 0 to 1.")
    average_gap: float | None = Field(description="GAP of the best average of snapshots.")
    single_gap: float | None = Field(description="GAP of the best single snapshot.")
    gap: float | None = Field(description="GAP of the model as stored, on the eval split.")
    inferior_to: str | None = Field(
        description="Name of the smaller and better member; None if there is none."
    )

    @property
    def name(self) -> str:
        """The variant, and the form where that is not float16."""
        return _name(self.variant, self.form)


class EnsembleSummary(ReportPart):
    """One ensemble whose GAP was measured."""

    members: tuple[str, ...] = Field(description="The variants.")
    forms: tuple[str, ...] = Field(description="The stored form of each member.")
    weights: tuple[float, ...] = Field(description="The weight of each member; their sum is 1.")
    mib: float = Field(description="Size as stored, in MiB of 2**20 bytes.")
    gap: float = Field(description="GAP on the eval split.")

    @property
    def names(self) -> list[str]:
        """The names of the members; see `MemberRow.name`."""
        return [_name(*pair) for pair in zip(self.members, self.forms, strict=True)]


class RunDocument(StepReport):
    """What is known of a run and what its steps reported; None or empty for what it did not come to.

    >>> RunDocument(run=None).members
    ()
    """

    # As `EvaluationResults`: a run that measured NaN has a report, too.
    ALLOWS_NAN = True

    run: RunFacts | None = Field(description="What is known of the run itself.")
    data: ExampleGenReport | None = Field(None, description="What was read and lost of the data.")
    statistics: dict[str, SplitStatistics] | None = Field(
        None, description="Lengths and numbers of labels, by split."
    )
    anomalies: dict[str, tuple[str, ...]] | None = Field(
        None, description="What does not fit the schema, one line each, by split."
    )
    drift: DriftReport | None = Field(
        None, description="How the videos differ from those that the served model was trained on."
    )
    half_time: HalfTimeReport | None = Field(None, description="Which variants were stopped at half time.")
    teacher: TeacherReport | None = Field(None, description="What the students were taught by.")
    training: dict[str, dict[str, Curve]] = Field(
        {}, description="Curves by variant and tag (see `read_curves`)."
    )
    averaging: dict[str, AveragingReport] = Field({}, description="What was found for each variant.")
    compression: dict[str, Compression] = Field({}, description="What was measured of each variant.")
    ensemble: EnsembleReport | None = Field(None, description="What the EnsembleAssembler found.")
    evaluation: EvaluationResults | None = Field(None, description="What the Evaluator measured.")
    blessing: Verdict | None = Field(None, description="The verdict of the Evaluator.")
    infra_blessing: Verdict | None = Field(None, description="The verdict of the ModelServerValidator.")
    push: PushResult | None = Field(None, description="What became of the candidate.")

    @computed_field
    @property
    def members(self) -> tuple[MemberRow, ...]:
        """All stored forms of all variants, by decreasing size (paper, Table 1)."""
        return _members(self.averaging, self.compression, self.ensemble)

    @computed_field
    @property
    def ensembles(self) -> tuple[EnsembleSummary, ...]:
        """The ensembles, the one that was written first and then by decreasing GAP (paper, Fig. 2)."""
        return tuple(
            EnsembleSummary(
                members=one.members,
                forms=one.forms or (_DEFAULT_FORM,) * len(one.members),
                weights=one.weights,
                mib=one.bytes / MIB,
                gap=one.gap,
            )
            for one in (self.ensemble.ensembles if self.ensemble else ())
        )


def _members(
    averaging: Mapping[str, AveragingReport],
    compression: Mapping[str, Compression],
    ensemble: EnsembleReport | None,
) -> tuple[MemberRow, ...]:
    stored = {(variant, form.form): form for variant, one in compression.items() for form in one.forms}
    assembled = {(member.variant, member.form): member for member in (ensemble.members if ensemble else ())}
    known = {variant for variant, _ in {**stored, **assembled}}
    averaged = {(variant, _DEFAULT_FORM): None for variant in averaging if variant not in known}
    rows = []
    for variant, form in {**averaged, **stored, **assembled}:
        average, compressed = averaging.get(variant), compression.get(variant)
        one, member = stored.get((variant, form)), assembled.get((variant, form))
        better = member and member.inferior_to
        rows.append(
            MemberRow(
                variant=variant,
                form=form,
                float32_mib=compressed and compressed.float32_bytes / MIB,
                stored_mib=sized.bytes / MIB if (sized := one or member) else None,
                rate=one and one.rate,
                average_gap=_gap(average and average.best_average),
                single_gap=_gap(average and average.best_single),
                gap=_gap(member or one),
                inferior_to=better and _name(better, member.inferior_to_form),
            )
        )
    return tuple(sorted(rows, key=lambda row: (-(row.stored_mib or 0), row.variant, row.form)))


def _gap(measured: Any) -> float | None:
    return measured and measured.gap


def _name(variant: str, form: str | None) -> str:
    return variant if form in (None, _DEFAULT_FORM) else f"{variant} {form}"
