"""Several runs side by side: a pure function of their reports."""

from collections.abc import Iterable, Mapping
from typing import Any

from components.run_report.naming import ensemble_names, row_name
from trainer.base.units import MIB

Report = dict[str, Any]

_ENSEMBLES = 20


def compare(reports: Mapping[str, Report]) -> Report:
    """Compares the reports of several runs.

    Args:
        reports: The report of each run (see `assemble_report`), by the name of the run.

    Returns:
        {runs: [{name, run_id, state, seconds, eval_videos, split, gap, selection_gap, hit_at_one, perr, map, mib,
        limit_mib, members, weights, pushed_version, version, commit}], members: [{variant, runs: [{stored_mib, gap,
        average_gap, single_gap, training_seconds}]}], ensembles: [[{members, mib, gap}]]}. What stands in a list of
        runs is in their order; None for what a run has not. The variants, each with its stored form where that is not
        float16, are by decreasing size, the ensembles the 20 best. The GAP of a run is of its holdout where it has
        one, and `split` says so.
    """
    members = {
        name: {row_name(row): _member(report, row) for row in report["members"]}
        for name, report in reports.items()
    }
    sizes: dict[str, float] = {}
    for found in members.values():
        for variant, row in found.items():
            sizes[variant] = max(sizes.get(variant, 0.0), row["stored_mib"] or 0.0)
    return {
        "runs": [_run(name, report) for name, report in reports.items()],
        "members": [
            {"variant": variant, "runs": [members[name].get(variant) for name in reports]}
            for variant in sorted(sizes, key=lambda variant: (-sizes[variant], variant))
        ],
        "ensembles": [
            [
                {"members": ensemble_names(one), "mib": one["mib"], "gap": one["gap"]}
                for one in report["ensembles"][:_ENSEMBLES]
            ]
            for report in reports.values()
        ],
    }


def _run(name: str, report: Report) -> Report:
    run, candidate = report["run"] or {}, (report["evaluation"] or {}).get("candidate") or {}
    best = report["ensembles"][0] if report["ensembles"] else {}
    limit = (report["ensemble"] or {}).get("limit_bytes")
    return {
        "name": name,
        "run_id": run.get("run_id"),
        "state": run.get("state"),
        "seconds": run.get("seconds"),
        "eval_videos": candidate.get("videos"),
        "split": (report["evaluation"] or {}).get("split", "eval") if candidate else None,
        "gap": candidate.get("gap", best.get("gap")),
        "selection_gap": (report["evaluation"] or {}).get("selection_gap"),
        **{key: candidate.get(key) for key in ("hit_at_one", "perr", "map")},
        "mib": best.get("mib"),
        "limit_mib": limit and limit / MIB,
        "members": ensemble_names(best) if best else None,
        "weights": best.get("weights"),
        "pushed_version": (report["push"] or {}).get("version"),
        "version": run.get("code", {}).get("version"),
        "commit": run.get("code", {}).get("commit"),
    }


def _member(report: Report, row: Report) -> Report:
    took = {
        node["id"]: node["seconds"]
        for node in (report["run"] or {}).get("nodes", ())
        if node["state"] == "done"
    }
    return {
        **{key: row[key] for key in ("stored_mib", "gap", "average_gap", "single_gap")},
        "training_seconds": _sum(took.get(f"{half}-{row['variant']}") for half in ("FirstHalf", "Trainer")),
    }


def _sum(seconds: Iterable[float | None]) -> float | None:
    """The sum of the times that are known; None where none is."""
    known = [one for one in seconds if one is not None]
    return sum(known) if known else None
