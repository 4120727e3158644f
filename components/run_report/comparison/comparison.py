"""Several runs side by side: a pure function of their reports."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from components.run_report.comparison.document import (
    ComparedEnsemble,
    ComparedMember,
    ComparedRun,
    Comparison,
    MemberOfRun,
)
from components.run_report.comparison.recipe_difference import recipe_differences
from components.run_report.curves import Curve
from components.run_report.document import MemberRow, RunDocument
from trainer.base.units import MIB

_EVAL = "eval"
_ENSEMBLES = 20
_CURVES = ("loss", "gap")


def compare(reports: Mapping[str, RunDocument]) -> Comparison:
    """Compares the reports of several runs.

    Args:
        reports: The report of each run, by the name of the run.
    """
    members = {
        name: {row.name: _member(report, row) for row in report.members} for name, report in reports.items()
    }
    sizes: dict[str, float] = {}
    for found in members.values():
        for variant, row in found.items():
            sizes[variant] = max(sizes.get(variant, 0.0), row.stored_mib or 0.0)
    runs = [_run(name, report) for name, report in reports.items()]
    videos = [_videos(report, run.split or _EVAL) for report, run in zip(reports.values(), runs, strict=True)]
    evals = {_videos(report, _EVAL) for report in reports.values()}
    return Comparison(
        runs=tuple(run.model_copy(update=_difference(place, runs, videos)) for place, run in enumerate(runs)),
        recipes=recipe_differences([report.run and report.run.recipe for report in reports.values()]),
        same_eval_videos=len(evals) == 1 and None not in evals,
        curves={tag: _curves(reports.values(), tag) for tag in _CURVES},
        members=tuple(
            ComparedMember(variant=variant, runs=tuple(members[name].get(variant) for name in reports))
            for variant in sorted(sizes, key=lambda variant: (-sizes[variant], variant))
        ),
        ensembles=tuple(
            tuple(
                ComparedEnsemble(members=one.names, mib=one.mib, gap=one.gap)
                for one in report.ensembles[:_ENSEMBLES]
            )
            for report in reports.values()
        ),
    )


def _run(name: str, report: RunDocument) -> ComparedRun:
    run, evaluation = report.run, report.evaluation
    candidate = evaluation and evaluation.candidate
    best = report.ensembles[0] if report.ensembles else None
    measured = candidate or best
    return ComparedRun(
        name=name,
        run_id=run and run.run_id,
        state=run and run.state,
        seconds=run and run.seconds,
        eval_videos=candidate and candidate.videos,
        split=evaluation.split if candidate else None,
        gap=measured and measured.gap,
        selection_gap=evaluation and evaluation.selection_gap,
        hit_at_one=candidate and candidate.hit_at_one,
        perr=candidate and candidate.perr,
        map=candidate and candidate.map,
        mib=best and best.mib,
        limit_mib=report.ensemble and report.ensemble.limit_bytes / MIB,
        members=best and best.names,
        weights=best and best.weights,
        pushed_version=report.push and report.push.version,
        version=run and run.code.version,
        commit=run and run.code.commit,
    )


def _videos(report: RunDocument, split: str) -> tuple[Any, ...] | None:
    """What a split is known by: its name and its numbers of videos, frames and labels; None where nobody counted."""
    counts = report.data and report.data.splits.get(split)
    return counts and (split, counts.videos, counts.frames, counts.labels)


def _difference(
    place: int, runs: Sequence[ComparedRun], videos: Sequence[tuple[Any, ...] | None]
) -> dict[str, Any]:
    """The distance of a run's GAP from the best one on the same videos, or the reason why there is none."""
    own = videos[place]
    measured = [other for other, run in enumerate(runs) if run.gap is not None]
    same = [other for other in measured if own is not None and videos[other] == own]
    why = None
    if place not in measured:
        why = "it has no GAP"
    elif own is None:
        why = "it is not known which videos it was measured on"
    elif len(same) < 2:
        why = "no other run was measured on the same videos"
    gap = None if why else runs[place].gap - max(runs[other].gap for other in same)
    return {"gap_to_best": gap, "why_no_difference": why}


def _curves(reports: Iterable[RunDocument], tag: str) -> dict[str, tuple[Curve | None, ...]]:
    """The curves of the variants that two runs or more trained."""
    found = [
        {variant: one[tag] for variant, one in report.training.items() if tag in one} for report in reports
    ]
    variants = dict.fromkeys(variant for one in found for variant in one)
    rows = {variant: tuple(one.get(variant) for one in found) for variant in variants}
    return {variant: row for variant, row in rows.items() if sum(one is not None for one in row) > 1}


def _member(report: RunDocument, row: MemberRow) -> MemberOfRun:
    took = {
        node.id: node.seconds for node in (report.run.nodes if report.run else ()) if node.state == "done"
    }
    return MemberOfRun(
        stored_mib=row.stored_mib,
        gap=row.gap,
        average_gap=row.average_gap,
        single_gap=row.single_gap,
        training_seconds=_sum(took.get(f"{half}-{row.variant}") for half in ("FirstHalf", "Trainer")),
    )


def _sum(seconds: Iterable[float | None]) -> float | None:
    """The sum of the times that are known; None where none is."""
    known = [one for one in seconds if one is not None]
    return sum(known) if known else None
