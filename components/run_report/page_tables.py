"""The tables that only the page has; see `tables` for the others."""

from collections.abc import Sequence

from components.ensemble_assembler.report import ClassRow
from components.run_report.document import RunDocument
from components.run_report.run_facts import RunFacts
from components.run_report.statistics import Range
from components.run_report.tables import Table, make_table, number
from components.run_report.units import duration


def data_table(report: RunDocument) -> Table:
    """Makes the table of what was read, by split."""
    measured = report.statistics or {}
    rows = [
        (name, split, measured.get(name))
        for name, split in (report.data.splits if report.data else {}).items()
    ]
    return make_table(
        "Data",
        rows,
        ("split", False, lambda row: row[0]),
        ("files", True, lambda row: f"{row[1].files:,}"),
        ("videos", True, lambda row: f"{row[1].videos:,}"),
        ("labels", True, lambda row: f"{row[1].labels:,}"),
        ("labels a video", True, lambda row: _per_video(row[2] and row[2].labels)),
        ("frames", True, lambda row: f"{row[1].frames:,}"),
        ("frames a video", True, lambda row: _per_video(row[2] and row[2].frames)),
    )


def _per_video(one: Range | None) -> str:
    return f"{one.min:g} to {one.max:g}, mean {one.mean:.1f}" if one else "-"


def classes_table(title: str, rows: Sequence[ClassRow]) -> Table:
    """Makes a table of classes and their average precision."""
    return make_table(
        title,
        rows,
        ("class", False, lambda row: row.name or f"class {row.index}"),
        ("average precision", True, lambda row: f"{row.average_precision:.4f}"),
        ("labels", True, lambda row: f"{row.labels:,}"),
    )


def nodes_table(run: RunFacts | None) -> Table:
    """Makes the table of the steps, in an order in which they can run."""
    return make_table(
        "Steps",
        run.nodes if run else (),
        ("step", False, lambda row: row.id),
        ("state", False, lambda row: row.state),
        ("began", True, lambda row: (row.started or "-").replace("T", " ")[:19]),
        ("took", True, lambda row: "-" if row.seconds is None else duration(row.seconds)),
    )


def artifacts_table(run: RunFacts | None) -> Table:
    """Makes the table of all artifacts: their addresses, and their ids in the metadata store where these are known."""
    return make_table(
        "Artifacts",
        run.artifacts if run else (),
        ("step", False, lambda row: row.node or "-"),
        ("output", False, lambda row: row.key),
        ("type", False, lambda row: row.type),
        ("id", True, lambda row: number(row.id, "d")),
        ("address", False, lambda row: row.uri),
    )
