"""All that the nodes of a run reported, put together."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from trainer.base.units import MIB

Report = dict[str, Any]


def assemble_report(
    *,
    run: Report | None = None,
    data: Report | None = None,
    statistics: Report | None = None,
    anomalies: Report | None = None,
    half_time: Report | None = None,
    training: Mapping[str, Report] = MappingProxyType({}),
    averaging: Sequence[Report] = (),
    compression: Sequence[Report] = (),
    ensemble: Report | None = None,
    evaluation: Report | None = None,
    blessing: Report | None = None,
    infra_blessing: Report | None = None,
    push: Report | None = None,
) -> Report:
    """One JSON object of the reports of a run, any of which may be missing.

    Args:
        run: What is known of the run itself (see `components.run_report.run_facts`).
        data: Of the YouTube8MExampleGen.
        statistics: See `read_statistics`.
        anomalies: See `read_anomalies`.
        half_time: The HalfTime's verdicts.
        training: Curves of the Trainers, by variant (see `read_curves`).
        averaging: Of the CheckpointAveragers, one a variant.
        compression: Of the Fp16Compressors, one a variant.
        ensemble: Of the EnsembleAssembler.
        evaluation: The Evaluator's results.
        blessing: The Evaluator's verdict with its reasons.
        infra_blessing: The ModelServerValidator's.
        push: The Pusher's result.

    Returns:
        The arguments by their names (averaging and compression as objects by variant), and the two tables:
        members, [{variant, float32_mib, stored_mib, rate, average_gap, single_gap, gap, inferior_to}] by
        decreasing size, and ensembles, [{members, weights, mib, gap}], the best first. Sizes are in MiB of
        2**20 bytes; rate is the share of the bytes that compression saves.
    """
    averages = {report["variant"]: report for report in averaging}
    compressions = {report["variant"]: report for report in compression}
    return {
        "members": _members(averages, compressions, ensemble or {}),
        "ensembles": [
            {
                "members": one["members"],
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
        "half_time": half_time,
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
    assembled = {member["variant"]: member for member in ensemble.get("members", ())}
    rows = []
    for variant in {**averages, **compressions, **assembled}:
        average, compression = averages.get(variant, {}), compressions.get(variant, {})
        member = assembled.get(variant, {})
        rows.append(
            {
                "variant": variant,
                "float32_mib": _mib(compression.get("float32_bytes")),
                "stored_mib": _mib(compression.get("stored_bytes", member.get("bytes"))),
                "rate": compression.get("rate"),
                "average_gap": (average.get("best_average") or {}).get("gap"),
                "single_gap": (average.get("best_single") or {}).get("gap"),
                "gap": member.get("gap", compression.get("gap_stored")),
                "inferior_to": member.get("inferior_to"),
            }
        )
    return sorted(rows, key=lambda row: (-(row["stored_mib"] or 0), row["variant"]))


def _mib(size: int | None) -> float | None:
    return None if size is None else size / MIB
