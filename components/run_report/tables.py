"""The tables of a run for people: Markdown for `report.md`, aligned text for a terminal.

The two main ones are the paper's: its Table 1 (members) and its Fig. 2 (ensembles).
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from components.evaluator.report import EvaluationResults, SliceMetrics
from components.example_gen.report import ExampleGenReport
from components.half_time.report import HalfTimeVerdict
from components.run_report.document import RunDocument
from components.teacher.report import TeacherReport
from trainer.base.units import MIB
from trainer.metrics.video_metrics import Metrics


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: What the table shows.
        columns: Names of the columns.
        numeric: For each column whether it holds numbers, which are aligned at the right.
        rows: The cells of each row.
    """

    title: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Returns the table in Markdown, under a heading."""
        lines = [
            f"## {self.title}",
            "",
            _markdown_row(self.columns),
            _markdown_row(["---:" if numeric else "---" for numeric in self.numeric]),
            *(_markdown_row(row) for row in self.rows),
        ]
        return "\n".join(lines)


def tables(report: RunDocument) -> list[Table]:
    """Members, ensembles and, as far as the run measured them, half time, models and slices."""
    found = [members_table(report), ensembles_table(report), half_time_table(report)]
    if report.evaluation and report.evaluation.candidate:
        found += [models_table(report.evaluation), slices_table(report.evaluation.slices)]
    return [table for table in found if table.rows]


def members_table(report: RunDocument) -> Table:
    """Makes the table of size and GAP of each member, by decreasing size (paper, Table 1)."""
    return make_table(
        "Members",
        report.members,
        ("member", False, lambda row: row.name),
        ("float32 MiB", True, lambda row: number(row.float32_mib, ".2f")),
        ("stored MiB", True, lambda row: number(row.stored_mib, ".2f")),
        ("rate", True, lambda row: number(row.rate, ".1%")),
        ("best averaged GAP", True, lambda row: number(row.average_gap, ".4f")),
        ("best single GAP", True, lambda row: number(row.single_gap, ".4f")),
        ("inferior to", False, lambda row: row.inferior_to or ""),
    )


def ensembles_table(report: RunDocument) -> Table:
    """Members, weights, size and GAP of the best ensembles (paper, Fig. 2)."""
    return make_table(
        "Ensembles",
        report.ensembles,
        ("members", False, lambda row: " + ".join(row.names)),
        ("weights", False, lambda row: ", ".join(f"{weight:.4g}" for weight in row.weights)),
        ("MiB", True, lambda row: number(row.mib, ".2f")),
        ("GAP", True, lambda row: number(row.gap, ".4f")),
    )


def half_time_table(report: RunDocument) -> Table:
    """Makes the table of what each variant reached at half time, by decreasing size, and which were stopped there."""
    rows = report.half_time.variants if report.half_time else ()
    return make_table(
        "Half time",
        sorted(rows, key=lambda row: (-row.bytes, row.variant)),
        ("variant", False, lambda row: row.variant),
        ("step", True, lambda row: f"{row.step:,}"),
        ("stored MiB", True, lambda row: number(row.bytes / MIB, ".2f")),
        ("GAP", True, lambda row: number(row.gap, ".4f")),
        ("stopped for", False, lambda row: row.stopped_for or ""),
    )


def drift_table(report: RunDocument) -> Table:
    """Makes the table of how far the new videos differ from those that the served model was trained on."""
    return make_table(
        "Drift",
        report.drift.measures if report.drift else (),
        ("measure", False, lambda row: row.name.replace("_", " ")),
        ("value", True, lambda row: number(row.value, ".4f")),
        ("allowed", True, lambda row: number(row.threshold, ".4f")),
        ("verdict", False, lambda row: "drift" if row.is_drift else "none"),
    )


def moved_classes_table(report: RunDocument) -> Table:
    """Makes the table of the classes whose share of all labels has changed most."""
    return make_table(
        "Classes that moved most",
        report.drift.moved if report.drift else (),
        ("class", False, lambda row: row.name or f"class {row.index}"),
        ("before", True, lambda row: f"{row.before:.2%}"),
        ("now", True, lambda row: f"{row.now:.2%}"),
        ("change", True, lambda row: f"{row.now - row.before:+.2%}"),
    )


def models_table(evaluation: EvaluationResults) -> Table:
    """Makes the table of the four metrics of the candidate and of the model that was served."""
    rows = [("candidate", evaluation.candidate), ("served before", evaluation.baseline)]
    title = "Evaluation on the holdout" if evaluation.is_holdout else "Evaluation"
    return _metrics_table(title, "model", rows)


def slices_table(slices: Sequence[SliceMetrics]) -> Table:
    """Makes the table of the candidate's metrics by number of labels and by length."""
    rows = [(f"{one.feature.removeprefix('num_')} {one.bin}", one.candidate) for one in slices]
    return _metrics_table("Slices", "videos with", rows)


def markdown(report: RunDocument) -> str:
    """Returns a run's page in Markdown: what happened to the model, then the tables."""
    head = ["# Run report", "", *(f"- {line}" for line in conclusions(report))]
    return "\n".join(head) + "\n\n" + "\n\n".join(table.markdown() for table in tables(report)) + "\n"


def render(report: RunDocument, width: int = 120) -> str:
    """Returns members and ensembles as aligned text of at most so many columns, and what came of the model."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    console = Console(file=io.StringIO(), width=width, color_system=None)
    for table in (members_table(report), ensembles_table(report)):
        if not table.rows:
            continue
        drawn = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
        for column, numeric in zip(table.columns, table.numeric, strict=True):
            drawn.add_column(column, justify="right" if numeric else "left")
        for row in table.rows:
            drawn.add_row(*row)
        console.print(drawn)
    for line in conclusions(report):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    text = console.file.getvalue()
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def conclusions(report: RunDocument) -> list[str]:
    """Returns a sentence each on data, drift, variants that were stopped, verdicts with their reasons, and the push."""
    lines = []
    if report.data:
        lines.append(_data_line(report.data))
    if line := holdout_line(report.evaluation):
        lines.append(f"Evaluation: {line}")
    if report.drift and (alert := report.drift.alert):
        lines.append(f"Drift: {alert}")
    if report.half_time:
        lines.append(_half_time_line(report.half_time.variants))
    if report.teacher:
        lines.append(_teacher_line(report.teacher))
    for judge, verdict in (("Evaluator", report.blessing), ("ModelServerValidator", report.infra_blessing)):
        if verdict:
            word = "blessed" if verdict.blessed else "NOT blessed"
            lines.append(f"{judge}: {word}: {'; '.join(verdict.reasons)}")
    if push := report.push:
        lines.append(f"Push: {push.reason}{f' at {push.destination}' if push.destination else ''}")
    return lines


def holdout_line(evaluation: EvaluationResults | None) -> str | None:
    """Tells the GAP on the holdout beside the one by which the candidate was chosen; None without a holdout."""
    if not evaluation or not evaluation.is_holdout or not evaluation.candidate:
        return None
    selection = evaluation.selection_gap
    text = f"GAP {evaluation.candidate.gap:.4f} on the holdout, on which nothing was trained or chosen"
    if selection is None:
        return text
    return f"{text}; {selection:.4f} on the eval split, on which averages, members and weights were chosen"


def _data_line(data: ExampleGenReport) -> str:
    splits = ", ".join(f"{split.videos} videos to {name}" for name, split in data.splits.items())
    rejected = ", ".join(f"{count} {reason}" for reason, count in data.rejected.items()) or "none"
    return f"Data: {splits}; rejected: {rejected}{''.join(f'; {note}' for note in data_notes(data))}"


def data_notes(data: ExampleGenReport) -> list[str]:
    """Says what was left out without being bad, and which files are lost, cut or copies; one text for each."""
    notes = []
    if data.unlabelled_videos:
        notes.append(f"{data.unlabelled_videos:,} videos without labels left out (no_labels)")
    if data.left_out_files:
        notes.append(f"{len(data.left_out_files):,} files named test* left out")
    for loss in data.losses:
        word = "lost" if loss.whole else "cut"
        notes.append(f"{loss.file} is {word} ({loss.reason}), with about {loss.videos:,} videos")
    notes.extend(f"{file} is a copy of {original}" for file, original in data.copies.items())
    return notes


def _half_time_line(variants: Sequence[HalfTimeVerdict]) -> str:
    stopped = [f"{row.variant} (for {row.stopped_for})" for row in variants if row.stopped_for]
    return f"Half time: stopped {', '.join(stopped) or 'none'} of {len(variants)} variants"


def _teacher_line(teacher: TeacherReport) -> str:
    share = teacher.bytes / max(teacher.examples_bytes, 1)
    return (
        f"Teacher: {'; '.join(teacher.models)} scored {teacher.videos:,} videos, "
        f"{teacher.classes / max(teacher.videos, 1):.1f} classes each, {teacher.bytes / MIB:.2f} MiB, "
        f"{share:.2%} of the train split's bytes"
    )


def _metrics_table(title: str, what: str, rows: Sequence[tuple[str, Metrics | None]]) -> Table:
    """Makes a table with a row for all that was measured: its name and its metrics."""
    return make_table(
        title,
        [row for row in rows if row[1]],
        (what, False, lambda row: row[0]),
        ("videos", True, lambda row: f"{row[1].videos:,}"),
        ("GAP", True, lambda row: number(row[1].gap, ".4f")),
        ("Hit@1", True, lambda row: number(row[1].hit_at_one, ".4f")),
        ("PERR", True, lambda row: number(row[1].perr, ".4f")),
        ("MAP", True, lambda row: number(row[1].map, ".4f")),
    )


def make_table(title: str, rows: Sequence[Any], *columns: tuple[str, bool, Callable[[Any], str]]) -> Table:
    """Makes a table.

    Args:
        title: What the table shows.
        rows: The rows, of any kind that the columns understand.
        columns: For each column its name, whether it holds numbers, and a function from a row to the text of its cell.
    """
    names, numeric, texts = zip(*columns, strict=True)
    return Table(title, names, numeric, tuple(tuple(text(row) for text in texts) for row in rows))


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def number(value: float | None, form: str) -> str:
    """Writes a number in a format such as `.2f`; a dash for None."""
    return "-" if value is None else format(value, form)
