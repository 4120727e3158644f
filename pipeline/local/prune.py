"""Removes what old runs left: their metadata, their artifacts, their logs. It does not import TFX.

The metadata goes first, in one transaction, because a step's result comes from the cache as long as the metadata knows
it. What a removal that was killed has left on the disk is unknown to the metadata then, and the next one removes it.
"""

import os
import posixpath
import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from components.pusher.report import PushResult
from pipeline.local.database import DATABASE, check_database, open_for_reading
from pipeline.local.run_lock import only_run_in
from pipeline.local.run_outputs import NodeOutput, context_outputs, output_document, places
from pipeline.local.run_record import record_path
from serving.store.manifest import MANIFEST
from serving.store.model_store import open_store
from trainer.base.errors import UserError

_ROWS = {
    "EventPath": "event_id IN (SELECT id FROM Event WHERE execution_id IN ({executions}))",
    "Event": "execution_id IN ({executions})",
    "Association": "execution_id IN ({executions}) OR context_id IN ({contexts})",
    "Attribution": "artifact_id IN ({artifacts}) OR context_id IN ({contexts})",
    "ParentContext": "context_id IN ({contexts}) OR parent_context_id IN ({contexts})",
    "ExecutionProperty": "execution_id IN ({executions})",
    "Execution": "id IN ({executions})",
    "ArtifactProperty": "artifact_id IN ({artifacts})",
    "Artifact": "id IN ({artifacts})",
    "ContextProperty": "context_id IN ({contexts})",
    "Context": "id IN ({contexts})",
}
"""Which rows of each table of ML Metadata's database go; its library has no call that removes anything."""


@dataclass(frozen=True)
class Pruned:
    """What was removed, or would be, of one directory of runs.

    Attributes:
        directory: The directory.
        runs: The ids of the runs that go, the oldest first.
        kept: The ids of the runs that stay, the oldest first.
        size: Bytes on the disk of the artifacts and logs that go; a file that has another name elsewhere counts, too.
    """

    directory: str
    runs: tuple[str, ...]
    kept: tuple[str, ...]
    size: int


def prune(base: Path, keep: int, dry_run: bool = False) -> Pruned:
    """Removes the runs of one directory but the newest, and but those that a served version comes from.

    An artifact stays as long as a run that stays made it, read it or took it from the cache.

    Args:
        base: The directory, which has `metadata.sqlite` and `artifacts/`.
        keep: How many of the newest runs stay.
        dry_run: Whether to remove nothing, and only say what would go.

    Raises:
        UserError: If a run is using the directory, its database is damaged, or a push directory cannot be asked for
            what is served.
    """
    check_database(base)
    with only_run_in(base):
        store = open_for_reading(base / DATABASE)
        runs = sorted(store.get_contexts_by_type("pipeline_run"), key=lambda run: run.name)
        outputs = {run.name: context_outputs(store, run, base) for run in runs}
        staying = {run.name for run in runs[len(runs) - min(keep, len(runs)) :]} | _served_runs(outputs)
        going = [run for run in runs if run.name not in staying]
        executions = {
            stays: {
                execution.id
                for run in runs
                if (run.name in staying) == stays
                for execution in store.get_executions_by_context(run.id)
            }
            for stays in (True, False)
        }
        artifacts = {artifact.id: artifact.uri for artifact in store.get_artifacts()}
        events = store.get_events_by_execution_ids(list(executions[True])) if executions[True] else []
        needed = {event.artifact_id for event in events}
        del store  # closes the database
        if not dry_run and going:
            _remove_rows(
                base / DATABASE,
                executions=executions[False] - executions[True],
                artifacts=artifacts.keys() - needed,
                contexts={run.id for run in going},
            )
        unknown = _unknown_directories(
            base, [place for one in needed for place in places(artifacts[one], base)]
        )
        logs = [record_path(base, run.name).with_suffix(end) for run in going for end in (".json", ".log")]
        size = sum(_size(path) for path in (*unknown, *logs))
        if not dry_run:
            for path in unknown:
                shutil.rmtree(path)
            for path in logs:
                path.unlink(missing_ok=True)
    return Pruned(str(base), tuple(run.name for run in going), tuple(sorted(staying)), size)


def _served_runs(outputs: dict[str, dict[str, NodeOutput]]) -> set[str]:
    """Returns the newest run of each served version: the newest of its directory, and those with a label."""
    pushed: dict[tuple[str, int], str] = {}
    for run, nodes in sorted(outputs.items()):
        result = output_document(nodes, "Pusher", "pushed_model", PushResult)
        if result and result.version and result.destination:
            pushed[posixpath.dirname(result.destination.rstrip("/")), result.version] = run
    served = set()
    for base in {base for base, _ in pushed}:
        try:
            store = open_store(base)
            if not store.exists():
                raise UserError(
                    f"{base} is not there, so nobody can tell which runs its models come from; nothing was removed: "
                    "mount it or move it back; make an empty directory there if it is gone for good"
                )
            versions = store.versions()
            wanted = {*versions[-1:], *store.labels().values()}
            # A roll-back serves the content of an earlier version under a number of its own.
            manifests = {store.read(version, MANIFEST) for version in wanted.intersection(versions)} - {None}
            served |= {
                run
                for (other, version), run in pushed.items()
                if other == base
                and version in versions
                and (version in wanted or store.read(version, MANIFEST) in manifests)
            }
        except OSError as error:
            raise UserError(
                f"{base} cannot be asked for what is served from it ({error}); nothing was removed"
            ) from error
    return served


def _remove_rows(database: Path, **ids: Iterable[int]) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for name, values in ids.items():
            connection.execute(f"CREATE TEMP TABLE going_{name} (id INTEGER PRIMARY KEY)")
            connection.executemany(f"INSERT INTO going_{name} VALUES (?)", [(value,) for value in values])
        chosen = {name: f"SELECT id FROM going_{name}" for name in ids}
        for table, condition in _ROWS.items():
            connection.execute(f"DELETE FROM {table} WHERE {condition.format(**chosen)}")


def _unknown_directories(base: Path, known: Iterable[str]) -> list[Path]:
    """Returns the directories `artifacts/<node>/<output>/<number>` in or above which no known artifact lies."""
    needed = {Path(os.path.abspath(uri)) for uri in known}
    above = {parent for path in needed for parent in path.parents}
    return [
        path
        for path in sorted((base / "artifacts").absolute().glob("*/*/[0-9]*"))
        if path.is_dir() and path not in above and needed.isdisjoint((path, *path.parents))
    ]


def _size(path: Path) -> int:
    paths = path.rglob("*") if path.is_dir() else (path,)
    return sum(one.lstat().st_size for one in paths if one.is_file() and not one.is_symlink())
