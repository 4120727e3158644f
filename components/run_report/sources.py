"""From the artifacts of a run to its report."""

import glob
import posixpath
from collections.abc import Mapping
from typing import Any, get_args

from components.checkpoint_averager.report import AveragingReport
from components.report_file import StepReport, read_document
from components.run_report.curves import read_curves
from components.run_report.document import Compression, RunDocument
from components.run_report.run_facts import RunFacts
from components.run_report.statistics import read_anomalies, read_statistics
from trainer.base.files import exists, is_local

_DOCUMENTS = {
    key: kind
    for key, field in RunDocument.model_fields.items()
    for kind in get_args(field.annotation)[:1]
    if isinstance(kind, type) and issubclass(kind, StepReport)
}
"""The class of each document that a run has one of, by its field."""


def read_run(
    run: RunFacts,
    single: Mapping[str, str],
    training: Mapping[str, str],
    averaging: Mapping[str, str],
    compression: Mapping[str, str],
) -> RunDocument:
    """Reads what the steps of a run reported. An artifact that is missing, or not whole, reports nothing.

    Args:
        run: What is known of the run itself.
        single: Addresses of the artifacts data, statistics, anomalies, drift, half_time, teacher, ensemble,
            evaluation, blessing, infra_blessing and push, by these keys, as far as they exist.
        training: Addresses of the Trainers' runs, by what the run calls the model: its variant, or for a student
            `Student-` and its variant.
        averaging: Addresses of the CheckpointAveragers' reports, likewise.
        compression: Addresses of the compressors' reports, likewise.

    Raises:
        UserError: If a document is damaged.
    """
    return RunDocument(
        run=run,
        **{
            key: _read(single[key], kind.FILE, kind) if key in single else None
            for key, kind in _DOCUMENTS.items()
        },
        statistics=read_statistics(single["statistics"]) if "statistics" in single else None,
        anomalies=read_anomalies(single["anomalies"]) if "anomalies" in single else None,
        training={variant: read_curves(_event_files(uri)) for variant, uri in training.items()},
        averaging=_reports(averaging, AveragingReport),
        compression=_reports(compression, Compression),
    )


def _reports(uris: Mapping[str, str], kind: Any) -> dict[str, Any]:
    found = {name: _read(uri, StepReport.FILE, kind) for name, uri in uris.items()}
    # A report says which architecture it is of; a variant and a student may have the same.
    return {name: one.model_copy(update={"variant": name}) for name, one in found.items() if one}


def _read(directory: str, name: str, kind: Any) -> Any:
    """Reads a document; None where the step that writes it was left out, or ended before it wrote it."""
    path = posixpath.join(directory, name)
    return read_document(path, kind) if exists(path) else None


def _event_files(model_run: str) -> list[str]:
    pattern = posixpath.join(model_run, "logs", "events.out.tfevents.*")
    if is_local(model_run):
        return sorted(glob.glob(pattern))
    import tensorflow as tf

    return sorted(tf.io.gfile.glob(pattern))
