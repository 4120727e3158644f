"""The tables of a run for people: Markdown for `report.md`, aligned text for a terminal.

The two main ones are the paper's: its Table 1 (members) and its Fig. 2 (ensembles).
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from components.run_report.naming import ensemble_names, row_name

Report = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Cells as text; the columns after the first are numbers where `numeric` says so."""

    title: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """As a Markdown table under a heading."""
        lines = [
            f"## {self.title}",
            "",
            _markdown_row(self.columns),
            _markdown_row(["---:" if numeric else "---" for numeric in self.numeric]),
            *(_markdown_row(row) for row in self.rows),
        ]
        return "\n".join(lines)


def tables(report: Report) -> list[Table]:
    """Members, ensembles and, as far as the run measured them, models and slices (see `assemble_report`)."""
    found = [members_table(report), ensembles_table(report)]
    evaluation = report.get("evaluation")
    if evaluation and evaluation.get("candidate"):
        found += [models_table(evaluation), slices_table(evaluation)]
    return [table for table in found if table.rows]


def members_table(report: Report) -> Table:
    """Size and GAP of each member, by decreasing size (paper, Table 1)."""
    return make_table(
        "Members",
        report["members"],
        ("member", False, row_name),
        ("float32 MiB", True, lambda row: number(row["float32_mib"], ".2f")),
        ("stored MiB", True, lambda row: number(row["stored_mib"], ".2f")),
        ("rate", True, lambda row: number(row["rate"], ".1%")),
        ("best averaged GAP", True, lambda row: number(row["average_gap"], ".4f")),
        ("best single GAP", True, lambda row: number(row["single_gap"], ".4f")),
        ("inferior to", False, lambda row: row["inferior_to"] or ""),
    )


def ensembles_table(report: Report) -> Table:
    """Members, weights, size and GAP of the best ensembles (paper, Fig. 2)."""
    return make_table(
        "Ensembles",
        report["ensembles"],
        ("members", False, lambda row: " + ".join(ensemble_names(row))),
        ("weights", False, lambda row: ", ".join(f"{weight:.4g}" for weight in row["weights"])),
        ("MiB", True, lambda row: number(row["mib"], ".2f")),
        ("GAP", True, lambda row: number(row["gap"], ".4f")),
    )


def models_table(evaluation: Report) -> Table:
    """The four metrics of the candidate and of the model that was served."""
    names = {"candidate": "candidate", "baseline": "served before"}
    rows = [{"name": names[key], **evaluation[key]} for key in names if evaluation.get(key)]
    return make_table("Evaluation", rows, ("model", False, lambda row: row["name"]), *_metric_columns())


def slices_table(evaluation: Report) -> Table:
    """The candidate's metrics by number of labels and by length."""
    rows = [
        {"name": f"{one['feature'].removeprefix('num_')} {one['bin']}", **one["candidate"]}
        for one in evaluation.get("slices", ())
        if one["candidate"]
    ]
    return make_table("Slices", rows, ("videos with", False, lambda row: row["name"]), *_metric_columns())


def markdown(report: Report) -> str:
    """The page of a run: what happened to the model, then the tables."""
    head = ["# Run report", "", *(f"- {line}" for line in conclusions(report))]
    return "\n".join(head) + "\n\n" + "\n\n".join(table.markdown() for table in tables(report)) + "\n"


def render(report: Report, width: int = 120) -> str:
    """The members and the ensembles as aligned text of at most so many columns, and what came of the model."""
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


def conclusions(report: Report) -> list[str]:
    """One sentence each on the data, the verdicts with their reasons, and the push."""
    lines = []
    if data := report.get("data"):
        lines.append(_data_line(data))
    for key, judge in (("blessing", "Evaluator"), ("infra_blessing", "ModelServerValidator")):
        if verdict := report.get(key):
            word = "blessed" if verdict["blessed"] else "NOT blessed"
            lines.append(f"{judge}: {word}: {'; '.join(verdict['reasons'])}")
    if push := report.get("push"):
        where = f" at {push['destination']}" if push.get("destination") else ""
        lines.append(f"Push: {push['reason']}{where}")
    return lines


def _data_line(data: Report) -> str:
    splits = ", ".join(f"{split['videos']} videos to {name}" for name, split in data["splits"].items())
    rejected = ", ".join(f"{count} {reason}" for reason, count in data["rejected"].items()) or "none"
    return f"Data: {splits}; rejected: {rejected}"


def _metric_columns() -> Sequence[tuple[str, bool, Callable[[Report], str]]]:
    return (
        ("videos", True, lambda row: f"{row['videos']:,}"),
        ("GAP", True, lambda row: number(row["gap"], ".4f")),
        ("Hit@1", True, lambda row: number(row["hit_at_one"], ".4f")),
        ("PERR", True, lambda row: number(row["perr"], ".4f")),
        ("MAP", True, lambda row: number(row["map"], ".4f")),
    )


def make_table(
    title: str, rows: Sequence[Report], *columns: tuple[str, bool, Callable[[Report], str]]
) -> Table:
    """A table of rows; a column is its name, whether it holds numbers, and what makes its text of a row."""
    names, numeric, texts = zip(*columns, strict=True)
    return Table(title, names, numeric, tuple(tuple(text(row) for text in texts) for row in rows))


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def number(value: float | None, form: str) -> str:
    """A number in a format, or a dash."""
    return "-" if value is None else format(value, form)
