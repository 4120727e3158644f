"""The runs of this machine, as ML Metadata has them. TFX is not imported."""

import datetime
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_metadata import errors, metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from components.evaluator.files import HOLDOUT, RESULTS_FILE
from pipeline.local.run_lock import is_in_use
from pipeline.local.run_outputs import NodeOutput, context_outputs
from trainer.base.errors import UserError

_logger = logging.getLogger("yt8m.runs")

_LAST_NODE = "RunReport"
# A run that is on locks its database for a moment now and then.
_SECONDS_BETWEEN_ATTEMPTS = 0.3
_ATTEMPTS = 3

Run = dict[str, Any]


def list_runs(root: str) -> list[Run]:
    """All runs below a directory, the newest first.

    Args:
        root: Of the runs, `<root>/<recipe>/metadata.sqlite`; or of those of one recipe.

    Returns:
        One JSON object a run: run_id, recipe (name of the directory), started (ISO 8601, local time), state
        (`succeeded`, `failed`, `running`, `stopped` for one that was killed or never began a step, or `no_report` for
        one of which every step but the report is done), seconds from its start to its last sign of life, nodes (that
        are done), gap of the ensemble on the eval split, holdout_gap and pushed_version (null where it did not come so
        far, or has no holdout), and directory. A database that cannot be read is named in a warning and left out.

    Raises:
        UserError: If there is no such directory.
    """
    if not os.path.isdir(root):
        raise UserError(f"{root}: there is no such directory; --root is where yt8m run keeps its runs")
    found: list[Run] = []
    databases = Path(root, "metadata.sqlite"), *sorted(Path(root).glob("*/metadata.sqlite"))
    for database in filter(Path.exists, databases):
        attempts = Retrying(
            retry=retry_if_exception_type((RuntimeError, errors.StatusError)),
            wait=wait_fixed(_SECONDS_BETWEEN_ATTEMPTS),
            stop=stop_after_attempt(_ATTEMPTS),
        )
        try:
            found += attempts(lambda database=database: [*_runs_of(database)])
        except RetryError as error:
            reason = " ".join(str(error.last_attempt.exception()).split())
            _logger.warning("left out: %s cannot be read: %.200s", database, reason)
    return sorted(found, key=lambda run: run["started"], reverse=True)


def _runs_of(database: Path) -> Iterator[Run]:
    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = str(database)
    connection.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READONLY
    store = metadata_store.MetadataStore(connection)
    contexts = sorted(store.get_contexts_by_type("pipeline_run"), key=lambda context: context.name)
    for context in contexts:
        nodes = context_outputs(store, context)
        # The run's name is the time of its start.
        started = datetime.datetime.fromisoformat(context.name)
        last = max((node.last_sign for node in nodes.values()), default=started.timestamp())
        yield {
            "run_id": context.name,
            "recipe": database.parent.name,
            "started": context.name,
            "state": _state(nodes, context is contexts[-1], database.parent),
            "seconds": max(0.0, last - started.timestamp()),
            "nodes": sum(node.succeeded for node in nodes.values()),
            "gap": _gap(nodes),
            "holdout_gap": _holdout_gap(nodes),
            "pushed_version": pushed_version(nodes),
            "directory": str(database.parent),
        }


def _state(nodes: dict[str, NodeOutput], newest: bool, base: Path) -> str:
    if failed := [name for name, node in nodes.items() if node.ended and not node.succeeded]:
        # The report is the last step: a run that misses nothing else has pushed, or has said why it did not.
        return "no_report" if failed == [_LAST_NODE] else "failed"
    if _LAST_NODE in nodes and nodes[_LAST_NODE].succeeded:
        return "succeeded"
    # Runs of one directory follow each other: only the newest can be on.
    return "running" if newest and is_in_use(base) else "stopped"


def _gap(nodes: dict[str, NodeOutput]) -> float | None:
    """Of the best ensemble, as the EnsembleAssembler reports it."""
    ensembles = _read(nodes, "EnsembleAssembler", "report", "report.json").get("ensembles")
    return ensembles[0]["gap"] if ensembles else None


def _holdout_gap(nodes: dict[str, NodeOutput]) -> float | None:
    """Of the ensemble on the holdout, as the Evaluator measured it."""
    results = _read(nodes, "Evaluator", "evaluation", RESULTS_FILE)
    return (results.get("candidate") or {}).get("gap") if results.get("split") == HOLDOUT else None


def pushed_version(nodes: dict[str, NodeOutput]) -> int | None:
    """The version that a run pushed; None where it pushed none, or has not come so far."""
    return _read(nodes, "Pusher", "pushed_model", "pushed.json").get("version")


def _read(nodes: dict[str, NodeOutput], node: str, output: str, name: str) -> dict[str, Any]:
    """A JSON file of an artifact; empty where the node did not get so far, or somebody tidied up."""
    if node not in nodes or not nodes[node].succeeded or output not in nodes[node].uris:
        return {}
    try:
        return json.loads(Path(nodes[node].uris[output][0], name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
