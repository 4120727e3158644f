"""Several runs side by side: a pure function of their reports."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from components.run_report.comparison.recipe_difference import recipe_differences
from components.run_report.naming import ensemble_names, row_name
from trainer.base.units import MIB

Report = dict[str, Any]

_EVAL = "eval"
_ENSEMBLES = 20
_CURVES = ("loss", "gap")


def compare(reports: Mapping[str, Report]) -> Report:
    """Compares the reports of several runs.

    Args:
        reports: The report of each run (see `assemble_report`), by the name of the run.

    Returns:
        {runs: [{name, run_id, state, seconds, eval_videos, split, gap, selection_gap, hit_at_one, perr, map, mib,
        limit_mib, members, weights, pushed_version, version, commit, gap_to_best, why_no_difference}], recipes: [{key,
        values}] (see `recipe_differences`), same_eval_videos, curves: {tag: {variant: [{steps, values}]}}, members:
        [{variant, runs: [{stored_mib, gap, average_gap, single_gap, training_seconds}]}], ensembles: [[{members, mib,
        gap}]]}. What stands in a list of runs is in their order; None for what a run has not. The variants, each with
        its stored form where that is not float16, are by decreasing size, the ensembles the 20 best. The GAP of a run
        is of its holdout where it has one, and `split` says so. `gap_to_best` is the difference to the best of the
        runs that were measured on the same videos; where there is no other such run it is None, and
        `why_no_difference` says why. `same_eval_videos` says whether the eval splits, of which the GAPs of members
        and ensembles are, are known to be the same.
    """
    members = {
        name: {row_name(row): _member(report, row) for row in report["members"]}
        for name, report in reports.items()
    }
    sizes: dict[str, float] = {}
    for found in members.values():
        for variant, row in found.items():
            sizes[variant] = max(sizes.get(variant, 0.0), row["stored_mib"] or 0.0)
    runs = [_run(name, report) for name, report in reports.items()]
    videos = [
        _videos(report, run["split"] or _EVAL) for report, run in zip(reports.values(), runs, strict=True)
    ]
    evals = {_videos(report, _EVAL) for report in reports.values()}
    return {
        "runs": [{**run, **_difference(place, runs, videos)} for place, run in enumerate(runs)],
        "recipes": recipe_differences([(report["run"] or {}).get("recipe") for report in reports.values()]),
        "same_eval_videos": len(evals) == 1 and None not in evals,
        "curves": {tag: _curves(reports.values(), tag) for tag in _CURVES},
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


def _videos(report: Report, split: str) -> tuple[Any, ...] | None:
    """What a split is known by: its name and its numbers of videos, frames and labels; None where nobody counted."""
    counts = (report["data"] or {}).get("splits", {}).get(split)
    return counts and (split, *(counts[key] for key in ("videos", "frames", "labels")))


def _difference(place: int, runs: Sequence[Report], videos: Sequence[tuple[Any, ...] | None]) -> Report:
    """The distance of a run's GAP from the best one on the same videos, or the reason why there is none."""
    own = videos[place]
    measured = [other for other, run in enumerate(runs) if run["gap"] is not None]
    same = [other for other in measured if own is not None and videos[other] == own]
    why = None
    if place not in measured:
        why = "it has no GAP"
    elif own is None:
        why = "it is not known which videos it was measured on"
    elif len(same) < 2:
        why = "no other run was measured on the same videos"
    gap = None if why else runs[place]["gap"] - max(runs[other]["gap"] for other in same)
    return {"gap_to_best": gap, "why_no_difference": why}


def _curves(reports: Iterable[Report], tag: str) -> dict[str, list[Report | None]]:
    """The curves of the variants that two runs or more trained."""
    found = [
        {variant: one[tag] for variant, one in report["training"].items() if one.get(tag)}
        for report in reports
    ]
    variants = dict.fromkeys(variant for one in found for variant in one)
    rows = {variant: [one.get(variant) for one in found] for variant in variants}
    return {variant: row for variant, row in rows.items() if sum(one is not None for one in row) > 1}


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
