"""The tables that only the page has; see `tables` for the others."""

from typing import Any

from components.run_report.tables import Table, make_table, number
from components.run_report.units import duration

Report = dict[str, Any]


def data_table(report: Report) -> Table:
    """Makes the table of what was read, by split."""
    splits = (report["data"] or {}).get("splits", {})
    rows = [{"split": name, **split, **_per_video(report, name)} for name, split in splits.items()]
    return make_table(
        "Data",
        rows,
        ("split", False, lambda row: row["split"]),
        ("files", True, lambda row: f"{row['files']:,}"),
        ("videos", True, lambda row: f"{row['videos']:,}"),
        ("labels", True, lambda row: f"{row['labels']:,}"),
        ("labels a video", True, lambda row: row["labels_text"]),
        ("frames", True, lambda row: f"{row['frames']:,}"),
        ("frames a video", True, lambda row: row["frames_text"]),
    )


def _per_video(report: Report, split: str) -> dict[str, str]:
    found = (report["statistics"] or {}).get(split)
    if not found:
        return {"labels_text": "-", "frames_text": "-"}
    return {
        f"{key}_text": f"{one['min']:g} to {one['max']:g}, mean {one['mean']:.1f}"
        for key, one in (("labels", found["labels"]), ("frames", found["frames"]))
    }


def classes_table(analysis: Report, which: str) -> Table:
    """Makes the table of the `best` or the `worst` classes by average precision."""
    return make_table(
        f"{which.title()} classes",
        analysis["classes"][which] if analysis else (),
        ("class", False, lambda row: row["name"] or f"class {row['class']}"),
        ("average precision", True, lambda row: f"{row['average_precision']:.4f}"),
        ("labels", True, lambda row: f"{row['labels']:,}"),
    )


def nodes_table(run: Report | None) -> Table:
    """Makes the table of the steps, in an order in which they can run."""
    return make_table(
        "Steps",
        run["nodes"] if run else (),
        ("step", False, lambda row: row["id"]),
        ("state", False, lambda row: row["state"]),
        ("began", True, lambda row: (row["started"] or "-").replace("T", " ")[:19]),
        ("took", True, lambda row: "-" if row["seconds"] is None else duration(row["seconds"])),
    )


def artifacts_table(run: Report | None) -> Table:
    """Makes the table of all artifacts: their addresses, and their ids in the metadata store where these are known."""
    return make_table(
        "Artifacts",
        run["artifacts"] if run else (),
        ("step", False, lambda row: row["node"] or "-"),
        ("output", False, lambda row: row["key"]),
        ("type", False, lambda row: row["type"]),
        ("id", True, lambda row: number(row["id"], "d")),
        ("address", False, lambda row: row["uri"]),
    )
