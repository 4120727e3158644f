"""From the artifacts of a run to the arguments of `assemble_report`."""

import glob
import posixpath
from collections.abc import Mapping
from typing import Any

from components.evaluator.files import RESULTS_FILE
from components.pusher.files import RESULT_FILE
from components.report_file import StepReport
from components.run_report.curves import read_curves
from components.run_report.files import read_json
from components.run_report.statistics import read_anomalies, read_statistics
from components.verdict import REASONS_FILE
from trainer.base.files import is_local

_REPORT = StepReport.FILE
_FILES = {
    "data": _REPORT,
    "drift": _REPORT,
    "half_time": _REPORT,
    "teacher": _REPORT,
    "ensemble": _REPORT,
    "evaluation": RESULTS_FILE,
    "blessing": REASONS_FILE,
    "infra_blessing": REASONS_FILE,
    "push": RESULT_FILE,
}
"""The JSON file in each artifact that a run has one of, by the artifact's key."""


def read_sources(
    single: Mapping[str, str],
    training: Mapping[str, str],
    averaging: Mapping[str, str],
    compression: Mapping[str, str],
) -> dict[str, Any]:
    """Reads what the steps of a run reported. An artifact that is missing, or not whole, reports nothing.

    Args:
        single: Addresses of the artifacts data, statistics, anomalies, drift, half_time, teacher, ensemble,
            evaluation, blessing, infra_blessing and push, by these keys, as far as they exist.
        training: Addresses of the Trainers' runs, by what the run calls the model: its variant, or for a student
            `Student-` and its variant.
        averaging: Addresses of the CheckpointAveragers' reports, likewise.
        compression: Addresses of the compressors' reports, likewise.

    Returns:
        The arguments of `assemble_report`, but for `run`.
    """
    return {
        **{
            key: read_json(posixpath.join(single[key], name)) for key, name in _FILES.items() if key in single
        },
        "statistics": read_statistics(single["statistics"]) if "statistics" in single else None,
        "anomalies": read_anomalies(single["anomalies"]) if "anomalies" in single else None,
        "training": {variant: read_curves(_event_files(uri)) for variant, uri in training.items()},
        "averaging": _reports(averaging),
        "compression": _reports(compression),
    }


def _reports(uris: Mapping[str, str]) -> list[dict[str, Any]]:
    found = {name: read_json(posixpath.join(uri, _REPORT)) for name, uri in uris.items()}
    # A report says which architecture it is of; a variant and a student may have the same.
    return [{**report, "variant": name} for name, report in found.items() if report is not None]


def _event_files(model_run: str) -> list[str]:
    pattern = posixpath.join(model_run, "logs", "events.out.tfevents.*")
    if is_local(model_run):
        return sorted(glob.glob(pattern))
    import tensorflow as tf

    return sorted(tf.io.gfile.glob(pattern))
