"""The report of a run: what all its steps reported, put together."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from components.run_report.naming import DEFAULT_FORM, member_name
from trainer.base.units import MIB

Report = dict[str, Any]


def assemble_report(
    *,
    run: Report | None = None,
    data: Report | None = None,
    statistics: Report | None = None,
    anomalies: Report | None = None,
    drift: Report | None = None,
    half_time: Report | None = None,
    teacher: Report | None = None,
    training: Mapping[str, Report] = MappingProxyType({}),
    averaging: Sequence[Report] = (),
    compression: Sequence[Report] = (),
    ensemble: Report | None = None,
    evaluation: Report | None = None,
    blessing: Report | None = None,
    infra_blessing: Report | None = None,
    push: Report | None = None,
) -> Report:
    """Puts the reports of a run, any of which may be missing, into one JSON object.

    The arguments are the documents of the steps as plain JSON values; a class that a line names has their keys.

    Args:
        run: What is known of the run itself (see `components.run_report.run_facts`).
        data: What was read and lost of the data (`ExampleGenReport`).
        statistics: Lengths and numbers of labels, by split (see `read_statistics`).
        anomalies: What does not fit the schema, by split (see `read_anomalies`).
        drift: How the videos differ from those that the served model was trained on (`DriftReport`).
        half_time: Which variants were stopped at half time (`HalfTimeReport`).
        teacher: What the students were taught by (`TeacherReport`).
        training: Curves of the Trainers, by variant (see `read_curves`).
        averaging: What the CheckpointAveragers found, one report for each variant (`AveragingReport`).
        compression: What the compressors measured, one report for each variant (`CompressionReport` or `LadderReport`).
        ensemble: What the EnsembleAssembler found (`EnsembleReport`).
        evaluation: What the Evaluator measured (`EvaluationResults`).
        blessing: The verdict of the Evaluator (`Verdict`).
        infra_blessing: The verdict of the ModelServerValidator (`Verdict`).
        push: What became of the candidate (`PushResult`).

    Returns:
        The arguments by their names (averaging and compression as objects by variant), and the two tables:
        members, [{variant, form, float32_mib, stored_mib, rate, average_gap, single_gap, gap, inferior_to}] by
        decreasing size, a row for each stored form of each variant, and ensembles, [{members, forms, weights, mib,
        gap}], the best first. Sizes are in MiB of 2**20 bytes; rate is the share of the bytes that compression saves.
    """
    averages = {report["variant"]: report for report in averaging}
    compressions = {report["variant"]: report for report in compression}
    return {
        "members": _members(averages, compressions, ensemble or {}),
        "ensembles": [
            {
                "members": one["members"],
                "forms": one.get("forms") or [DEFAULT_FORM] * len(one["members"]),
                "weights": one["weights"],
                "mib": one["bytes"] / MIB,
                "gap": one["gap"],
            }
            for one in (ensemble or {}).get("ensembles", ())
        ],
        "run": run,
        "data": data,
        "statistics": statistics,
        "anomalies": anomalies,
        "drift": drift,
        "half_time": half_time,
        "teacher": teacher,
        "training": dict(training),
        "averaging": averages,
        "compression": compressions,
        "ensemble": ensemble,
        "evaluation": evaluation,
        "blessing": blessing,
        "infra_blessing": infra_blessing,
        "push": push,
    }


def _members(averages: dict[str, Report], compressions: dict[str, Report], ensemble: Report) -> list[Report]:
    stored = {
        (variant, form["form"]): form for variant, report in compressions.items() for form in _forms(report)
    }
    assembled = {
        (member["variant"], member.get("form", DEFAULT_FORM)): member
        for member in ensemble.get("members", ())
    }
    known = {variant for variant, _ in {**stored, **assembled}}
    rows = []
    for variant, form in {
        **{(variant, DEFAULT_FORM): None for variant in averages if variant not in known},
        **stored,
        **assembled,
    }:
        average, compression = averages.get(variant, {}), stored.get((variant, form), {})
        member = assembled.get((variant, form), {})
        better = member.get("inferior_to")
        rows.append(
            {
                "variant": variant,
                "form": form,
                "float32_mib": _mib(compressions.get(variant, {}).get("float32_bytes")),
                "stored_mib": _mib(compression.get("bytes", member.get("bytes"))),
                "rate": compression.get("rate"),
                "average_gap": (average.get("best_average") or {}).get("gap"),
                "single_gap": (average.get("best_single") or {}).get("gap"),
                "gap": member.get("gap", compression.get("gap")),
                "inferior_to": better and member_name(better, member.get("inferior_to_form")),
            }
        )
    return sorted(rows, key=lambda row: (-(row["stored_mib"] or 0), row["variant"], row["form"]))


def _forms(compression: Report) -> list[Report]:
    """The forms of a Compressor's report, or the one of an Fp16Compressor's."""
    if "forms" in compression:
        return compression["forms"]
    return [
        {
            "form": compression.get("encoding", DEFAULT_FORM),
            "bytes": compression.get("stored_bytes"),
            "rate": compression.get("rate"),
            "gap": compression.get("gap_stored"),
        }
    ]


def _mib(size: int | None) -> float | None:
    return None if size is None else size / MIB
