"""Lists the runs of this machine from ML Metadata, without importing TFX."""

import datetime
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_metadata import errors
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from components.ensemble_assembler.report import EnsembleReport
from components.evaluator.report import EvaluationResults
from components.pusher.report import PushResult
from pipeline.local.database import check_database, open_for_reading
from pipeline.local.run_lock import is_in_use
from pipeline.local.run_outputs import NodeOutput, context_outputs, output_document
from pipeline.local.run_record import RunRecord, read_record
from pipeline.local.run_state import run_state
from trainer.base.errors import UserError

_logger = logging.getLogger("yt8m.runs")

# A run that is on locks its database for a moment now and then.
_SECONDS_BETWEEN_ATTEMPTS = 0.3
_ATTEMPTS = 3

Run = dict[str, Any]


def list_runs(root: str) -> list[Run]:
    """Returns all runs below a directory, the newest first.

    Args:
        root: The directory of all runs, with `<recipe>/metadata.sqlite` in it, or the directory of one recipe's runs.

    Returns:
        One JSON object a run: run_id, recipe (the name of the directory), started (ISO 8601, local time), state (see
        `run_state`), seconds (from its start to its last sign of life), nodes (how many are done), gap (the
        ensemble's GAP on the eval split), holdout_gap, pushed_version and directory. The GAPs and the version are
        null where the run did not come so far, or has no holdout. A database that cannot be read is left out, and a
        warning names it.

    Raises:
        UserError: If there is no such directory, or nothing in it can be read because of damage.
    """
    found: list[Run] = []
    unread: dict[Path, str] = {}
    for database in databases(root):
        attempts = Retrying(
            retry=retry_if_exception_type((RuntimeError, UserError, errors.StatusError)),
            wait=wait_fixed(_SECONDS_BETWEEN_ATTEMPTS),
            stop=stop_after_attempt(_ATTEMPTS),
        )
        try:
            found += attempts(lambda database=database: [*_runs_of(database)])
        except RetryError as error:
            unread[database] = " ".join(str(error.last_attempt.exception()).split())
    if not found:
        for database in unread:
            check_database(database.parent)
    for database, reason in unread.items():
        _logger.warning("left out: %s cannot be read: %.200s", database, reason)
    return sorted(found, key=lambda run: run["started"], reverse=True)


def databases(root: str) -> list[Path]:
    """Returns the metadata stores of a directory of all runs, or of that of one recipe's runs.

    Raises:
        UserError: If there is no such directory, or it has no runs, nor one that has just begun, but other things.
    """
    if not os.path.isdir(root):
        raise UserError(f"{root}: there is no such directory; --root is where yt8m run keeps its runs")
    found = Path(root, "metadata.sqlite"), *sorted(Path(root).glob("*/metadata.sqlite"))
    stores = [*filter(Path.exists, found)]
    if not stores and os.listdir(root) and not [*Path(root).glob("lock"), *Path(root).glob("*/lock")]:
        raise UserError(
            f"{root} has {min(os.listdir(root))} and no runs: give --root the directory where yt8m run keeps its runs"
        )
    return stores


def _runs_of(database: Path) -> Iterator[Run]:
    store = open_for_reading(database)
    contexts = sorted(store.get_contexts_by_type("pipeline_run"), key=lambda context: context.name)
    for context in contexts:
        nodes = context_outputs(store, context, database.parent)
        # The run's name is the time of its start.
        started = datetime.datetime.fromisoformat(context.name)
        last = max((node.last_sign for node in nodes.values()), default=started.timestamp())
        yield {
            "run_id": context.name,
            "recipe": database.parent.name,
            "started": context.name,
            # Runs of one directory follow each other: only the newest can be on.
            "state": run_state(
                nodes,
                _record(database.parent, context.name),
                context is contexts[-1] and is_in_use(database.parent),
            ),
            "seconds": max(0.0, last - started.timestamp()),
            "nodes": sum(node.succeeded for node in nodes.values()),
            "gap": _gap(nodes),
            "holdout_gap": _holdout_gap(nodes),
            "pushed_version": pushed_version(nodes),
            "directory": str(database.parent),
        }


def _record(base: Path, run_id: str) -> RunRecord:
    try:
        return read_record(base, run_id)
    except UserError as error:
        _logger.warning("run %s: %s", run_id, error)
        return RunRecord()


def _gap(nodes: dict[str, NodeOutput]) -> float | None:
    """Returns the GAP of the best ensemble, as the EnsembleAssembler reports it."""
    report = output_document(nodes, "EnsembleAssembler", "report", EnsembleReport)
    return report.ensembles[0].gap if report and report.ensembles else None


def _holdout_gap(nodes: dict[str, NodeOutput]) -> float | None:
    """Returns the GAP of the ensemble on the holdout, as the Evaluator measured it."""
    results = output_document(nodes, "Evaluator", "evaluation", EvaluationResults)
    return results.candidate.gap if results and results.is_holdout and results.candidate else None


def pushed_version(nodes: dict[str, NodeOutput]) -> int | None:
    """Returns the version that a run pushed; None if it pushed none, or not yet."""
    result = output_document(nodes, "Pusher", "pushed_model", PushResult)
    return result and result.version
