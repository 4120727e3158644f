"""The few numbers by which two runs are compared at a glance."""

from typing import Any

Report = dict[str, Any]


def scalar_metrics(report: Report) -> dict[str, float]:
    """Picks GAP and sizes of a run, as far as it measured them.

    Args:
        report: The report that `assemble_report` returned.

    Returns:
        gap, hit_at_one, perr and map of the candidate, on the holdout where there is one, and then selection_gap,
        which is its GAP on the eval split; served_gap of the model before it, ensemble_mib, pushed_version, and
        gap_<variant> and mib_<variant> of each member; of a model in several stored forms, of the largest one.
    """
    evaluation = report.get("evaluation") or {}
    found: dict[str, float | None] = {
        name: (evaluation.get("candidate") or {}).get(name) for name in ("gap", "hit_at_one", "perr", "map")
    }
    found["selection_gap"] = evaluation.get("selection_gap")
    found["served_gap"] = (evaluation.get("baseline") or {}).get("gap")
    if report["ensembles"]:
        found["ensemble_mib"] = report["ensembles"][0]["mib"]
    found["pushed_version"] = (report.get("push") or {}).get("version")
    for member in report["members"]:
        found.setdefault(f"gap_{member['variant']}", member["gap"])
        found.setdefault(f"mib_{member['variant']}", member["stored_mib"])
    return {name: float(value) for name, value in found.items() if value is not None}
