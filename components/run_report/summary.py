"""What a report says first: what became of the run, and its few main numbers."""

from typing import NamedTuple

from components.run_report.document import RunDocument
from components.run_report.units import duration
from trainer.base.units import MIB


class Headline(NamedTuple):
    """The first sentence of a report.

    Attributes:
        text: The sentence.
        mood: Whether it is `good`, `bad` or `neutral` news.
    """

    text: str
    mood: str


class Tile(NamedTuple):
    """One of the main numbers of a report.

    Attributes:
        label: What the number is.
        value: The number as text.
        note: What to compare it with.
    """

    label: str
    value: str
    note: str


def headline(report: RunDocument) -> Headline:
    """Says in one sentence what became of the run."""
    run, push = report.run, report.push
    failed = run and run.state in ("failed", "no_report")
    if failed and push and push.pushed:
        # A version that is served is the more important news.
        error = run.error or "the log says why"
        return Headline(f"{_sentence(push.reason)}; what came after it failed: {error}", "bad")
    if failed:
        return Headline(f"Failed: {run.error or 'the log says why'}", "bad")
    if run and run.state == "stopped":
        return Headline("Stopped before its end; started again, it goes on from there", "bad")
    if push and push.pushed:
        return Headline(_sentence(push.reason), "good")
    if push:
        return Headline(f"Not pushed: {push.reason}", "bad")
    if run and run.state == "running":
        return Headline("Still running", "neutral")
    return Headline("Nothing was pushed", "neutral")


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def tiles(report: RunDocument) -> list[Tile]:
    """Picks the main numbers, as far as the run has come to them."""
    made = []
    evaluation, run = report.evaluation, report.run
    if evaluation and (candidate := evaluation.candidate):
        served = evaluation.baseline
        note = f"{candidate.gap - served.gap:+.4f} against the served model" if served else "first version"
        if evaluation.selection_gap is not None:
            note = f"{evaluation.selection_gap:.4f} on the eval split, by which it was chosen; {note}"
        made.append(Tile("Holdout GAP" if evaluation.is_holdout else "GAP", f"{candidate.gap:.4f}", note))
        made.append(Tile("Hit@1", f"{candidate.hit_at_one:.4f}", f"PERR {candidate.perr:.4f}"))
    if report.ensembles:
        best, limit = report.ensembles[0], report.ensemble.limit_bytes / MIB
        made.append(Tile("Size", f"{best.mib:.1f} MiB", f"of {limit:g} MiB allowed"))
        trained = len({row.variant for row in report.members})
        made.append(Tile("Members", str(len(best.members)), f"of {trained} trained"))
    if data := report.data:
        note = ", ".join(f"{split.videos:,} {name}" for name, split in data.splits.items())
        made.append(Tile("Videos", f"{data.videos:,}", note))
    if run and run.seconds is not None:
        cached = sum(node.state == "cached" for node in run.nodes)
        note = f"{cached} of {len(run.nodes)} steps from the cache" if cached else "all steps run"
        made.append(Tile("Time", duration(run.seconds), note))
    return made
