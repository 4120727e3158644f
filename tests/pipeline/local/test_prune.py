"""Old runs are removed with their metadata; what a run that stays or a served version needs is not."""

import fcntl
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.cli.main import app
from pipeline.local import prune as prune_module
from pipeline.local.prune import Pruned, prune
from pipeline.local.runs import list_runs
from serving.store.model_store import label, publish, rollback
from serving.store.version_store import NEEDED
from trainer.base.errors import UserError

RUNS = [f"2026-11-{day}T10:00:00.000001" for day in (20, 21, 22, 23)]


class Directory:
    """A directory of runs, written as TFX does."""

    def __init__(self, base: Path) -> None:
        self.base = base
        (base / "logs").mkdir(parents=True)
        connection = mlmd.ConnectionConfig()
        connection.sqlite.filename_uri = str(base / "metadata.sqlite")
        connection.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        self.store = store = metadata_store.MetadataStore(connection)
        names = "pipeline_run", "node", "execution_cache"
        self.types = {name: store.put_context_type(mlmd.ContextType(name=name)) for name in names}
        self.artifact_type = store.put_artifact_type(mlmd.ArtifactType(name="Report"))
        self.execution_type = store.put_execution_type(mlmd.ExecutionType(name="Step"))

    def context(self, kind: str, name: str) -> mlmd.Context:
        return self.store.get_context_by_type_and_name(kind, name) or mlmd.Context(
            type_id=self.types[kind], name=name
        )

    def step(self, run: str, node: str, cached: mlmd.Artifact | None = None, **document) -> mlmd.Artifact:
        """One step of a run, that makes an artifact or takes one from the cache."""
        artifact = cached or mlmd.Artifact(type_id=self.artifact_type)
        if cached is None:
            place = self.base / "artifacts" / node / "pushed_model" / run[8:10]
            place.mkdir(parents=True)
            (place / "pushed.json").write_text(json.dumps(document), encoding="utf-8")
            artifact.uri = str(place)
            artifact.custom_properties["size"].int_value = 1
        event = mlmd.Event(type=mlmd.Event.OUTPUT)
        event.path.steps.add().key = "pushed_model"
        execution = mlmd.Execution(
            type_id=self.execution_type,
            last_known_state=mlmd.Execution.CACHED if cached else mlmd.Execution.COMPLETE,
        )
        contexts = [self.context("pipeline_run", run), self.context("node", f"tiny.{node}"),
                    self.context("execution_cache", f"key of {node}")]  # fmt: skip
        _, (made,), _ = self.store.put_execution(execution, [(artifact, event)], contexts)
        for ending in (".log", ".json"):
            (self.base / "logs" / (run.replace(":", "") + ending)).write_text("{}", encoding="utf-8")
        return self.store.get_artifacts_by_id([made])[0]

    def left(self) -> set[str]:
        return {"/".join(path.parts[-3::2]) for path in (self.base / "artifacts").glob("*/*/*")}


@pytest.fixture
def directory(tmp_path: Path) -> Directory:
    made = Directory(tmp_path / "runs/tiny")
    old = made.step(RUNS[0], "ExampleGen")
    made.step(RUNS[0], "Trainer")
    for run in RUNS[1:]:
        made.step(run, "ExampleGen", cached=old)
        made.step(run, "Trainer")
    return made


def test_old_runs_go_and_what_the_cache_needs_stays(directory: Directory) -> None:
    before = Path(directory.base, "metadata.sqlite").read_bytes()
    told = prune(directory.base, keep=2, dry_run=True)
    assert (told.runs, told.kept) == (tuple(RUNS[:2]), tuple(RUNS[2:]))
    assert told.size == sum(len(text) for text in ["{}"] * 6)
    assert Path(directory.base, "metadata.sqlite").read_bytes() == before
    assert len(directory.left()) == 5
    assert prune(directory.base, keep=2) == told
    assert directory.left() == {"ExampleGen/20", "Trainer/22", "Trainer/23"}
    assert {path.name[:10] for path in (directory.base / "logs").iterdir()} == {run[:10] for run in RUNS[2:]}
    assert [run["run_id"] for run in list_runs(str(directory.base))] == RUNS[:1:-1]
    store = directory.store
    # The next run finds ExampleGen's result by its key, though the run that made it is gone.
    key = store.get_context_by_type_and_name("execution_cache", "key of ExampleGen")
    assert len(store.get_executions_by_context(key.id)) == 2
    assert {artifact.uri[-2:] for artifact in store.get_artifacts_by_context(key.id)} == {"20"}
    with sqlite3.connect(directory.base / "metadata.sqlite") as database:
        for table, column, of in (
            ("Event", "execution_id", "Execution"), ("Event", "artifact_id", "Artifact"),
            ("EventPath", "event_id", "Event"), ("Association", "context_id", "Context"),
            ("Association", "execution_id", "Execution"), ("Attribution", "artifact_id", "Artifact"),
            ("ArtifactProperty", "artifact_id", "Artifact"),
        ):  # fmt: skip
            ((lost,),) = database.execute(
                f"SELECT count(*) FROM {table} WHERE {column} NOT IN (SELECT id FROM {of})"
            )
            assert lost == 0, table
    assert prune(directory.base, keep=2) == Pruned(str(directory.base), (), tuple(RUNS[2:]), 0)


def test_a_new_run_after_it_gets_ids_of_its_own(directory: Directory) -> None:
    last = max(artifact.id for artifact in directory.store.get_artifacts())
    prune(directory.base, keep=0)
    assert directory.left() == set()
    assert directory.step(RUNS[3], "Later").id > last, "TFX names the directories of artifacts by such ids"


def test_a_removal_that_was_killed_is_brought_to_its_end(directory: Directory, monkeypatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prune_module.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        prune(directory.base, keep=1)
    assert len(directory.left()) == 5
    monkeypatch.undo()
    assert prune(directory.base, keep=1).size > 0
    assert directory.left() == {"ExampleGen/20", "Trainer/23"}


def test_the_runs_of_served_versions_stay(directory: Directory, tmp_path: Path) -> None:
    base = tmp_path / "served"
    for version, run in enumerate(RUNS, start=1):
        source = tmp_path / "models" / run
        (source / "variables").mkdir(parents=True)
        for name in NEEDED:
            (source / name).write_bytes(bytes([version]))
        publish(str(source), str(base))
        pushed = {
            "pushed": True,
            "version": version,
            "destination": str(base / str(version)),
            "reason": "good",
        }
        directory.step(run, "Pusher", **pushed)
    assert prune(directory.base, keep=0, dry_run=True).kept == (RUNS[3],)
    label(str(base), {"stable": 2})
    assert prune(directory.base, keep=0, dry_run=True).kept == (RUNS[1], RUNS[3])
    rollback(str(base), to=1)
    assert prune(directory.base, keep=0).kept == (RUNS[0], RUNS[1]), "5 has the content of 1"
    assert directory.left() == {"ExampleGen/20", "Trainer/20", "Trainer/21", "Pusher/20", "Pusher/21"}
    assert sorted(path.name for path in base.iterdir() if path.name.isdigit()) == list("12345")


@pytest.mark.parametrize(
    "move",
    [
        shutil.move,
        shutil.copytree,
        lambda old, new: new.symlink_to(shutil.move(old, new.with_name("disk")), target_is_directory=True),
    ],
    ids=["moved", "copied", "linked"],
)
def test_where_the_directory_is_now_does_not_matter(
    move: Callable[[Path, Path], object], directory: Directory, tmp_path: Path
) -> None:
    for version, run in ((1, RUNS[1]), (2, RUNS[3])):
        served = tmp_path / "served" / str(version)
        served.mkdir(parents=True)
        (served / "saved_model.pb").write_bytes(bytes([version]))
        directory.step(run, "Pusher", pushed=True, version=version, destination=str(served), reason="good")
    label(str(tmp_path / "served"), {"stable": 1})
    before = directory.left()
    directory.base = Path(shutil.move(directory.base, tmp_path / "made"))
    move(directory.base, tmp_path / "now")
    directory.base = tmp_path / "now"
    assert [run["pushed_version"] for run in list_runs(str(directory.base))] == [2, None, 1, None]
    assert prune(directory.base, keep=1).kept == (RUNS[1], RUNS[3])
    assert directory.left() == before - {"Trainer/20", "Trainer/22"}


def test_where_the_models_are_not_there_nothing_is_removed(directory: Directory, tmp_path: Path) -> None:
    destination = str(tmp_path / "served/1")
    directory.step(RUNS[0], "Pusher", pushed=True, version=1, destination=destination, reason="good")
    before = directory.left()
    with pytest.raises(UserError, match=r"served is not there, .*; nothing was removed: mount it"):
        prune(directory.base, keep=1)
    assert directory.left() == before
    (tmp_path / "served").mkdir()
    assert prune(directory.base, keep=1).kept == (RUNS[3],)


def test_the_verb_says_what_goes_and_a_run_that_is_on_is_left_alone(directory: Directory, capsys) -> None:
    root = str(directory.base.parent)
    app(args=["runs", "prune", "--root", root, "--keep", "3", "--dry-run"], standalone_mode=False)
    assert capsys.readouterr().out == f"{directory.base}: 1 run(s) would be removed, 0.00 GiB; 3 stay\n"
    app(args=["runs", "prune", "--root", root, "--json"], standalone_mode=False)
    (told,) = json.loads(capsys.readouterr().out)["pruned"]
    assert (told["runs"], told["kept"]) == (RUNS[:1], RUNS[1:])
    with open(directory.base / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another run is using this directory"):
            app(args=["runs", "prune", "--root", root, "--keep", "1"], standalone_mode=False)
    assert len(directory.left()) == 4


def test_a_damaged_database_is_named_and_nothing_removed(tmp_path: Path) -> None:
    (tmp_path / "metadata.sqlite").write_text("nonsense" * 1000)
    (tmp_path / "artifacts").mkdir()
    with pytest.raises(UserError, match=r"metadata\.sqlite is damaged, or no database of runs"):
        prune(tmp_path, keep=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts", "metadata.sqlite"]
