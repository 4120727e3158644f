"""The few numbers by which two runs are compared at a glance."""

from components.run_report.document import RunDocument
from components.run_report.units import is_number

_METRICS = ("gap", "hit_at_one", "perr", "map")


def scalar_metrics(report: RunDocument) -> dict[str, float]:
    """Picks GAP and sizes of a run, as far as it measured them.

    Returns:
        gap, hit_at_one, perr and map of the candidate, on the holdout where there is one, and then selection_gap,
        which is its GAP on the eval split; served_gap of the model before it, ensemble_mib, pushed_version, and
        gap_<variant> and mib_<variant> of each member; of a model in several stored forms, of the largest one. All
        of them are finite.
    """
    found: dict[str, float | None] = {}
    if evaluation := report.evaluation:
        found = {name: getattr(evaluation.candidate, name, None) for name in _METRICS}
        found["selection_gap"] = evaluation.selection_gap
        found["served_gap"] = evaluation.baseline and evaluation.baseline.gap
    if report.ensembles:
        found["ensemble_mib"] = report.ensembles[0].mib
    found["pushed_version"] = report.push and report.push.version
    for member in report.members:
        found.setdefault(f"gap_{member.variant}", member.gap)
        found.setdefault(f"mib_{member.variant}", member.stored_mib)
    return {name: float(value) for name, value in found.items() if is_number(value)}
