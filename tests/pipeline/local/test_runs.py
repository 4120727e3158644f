"""``yt8m runs`` below a root: what ML Metadata says of each run."""

import fcntl
import json
import sqlite3
import time
from pathlib import Path

import pytest

from tests.components.report_samples import metrics
from trainer.base.errors import UserError


def record(base: Path, run_id: str, **nodes: tuple[str, dict[str, dict]]) -> None:
    """Writes a run into ML Metadata as TFX does; a node is its state, and the JSON files of its output's artifact."""
    from ml_metadata import metadata_store
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    base.mkdir(parents=True, exist_ok=True)
    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = str(base / "metadata.sqlite")
    connection.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    store = metadata_store.MetadataStore(connection)
    types = {name: store.put_context_type(mlmd.ContextType(name=name)) for name in ("pipeline_run", "node")}
    artifact_type = store.put_artifact_type(mlmd.ArtifactType(name="Report"))
    execution_type = store.put_execution_type(mlmd.ExecutionType(name="Step"))
    (run,) = store.put_contexts([mlmd.Context(type_id=types["pipeline_run"], name=run_id)])
    for node, (state, outputs) in nodes.items():
        contexts = [mlmd.Context(type_id=types["pipeline_run"], name=run_id, id=run),
                    mlmd.Context(type_id=types["node"], name=f"tiny.{node}")]  # fmt: skip
        known = store.get_context_by_type_and_name("node", f"tiny.{node}")
        contexts[1] = known or contexts[1]
        pairs = []
        for key, files in outputs.items():
            uri = base / "artifacts" / node / key / run_id
            uri.mkdir(parents=True)
            for name, content in files.items():
                (uri / name).write_text(json.dumps(content))
            event = mlmd.Event(type=mlmd.Event.OUTPUT)
            event.path.steps.add().key = key
            pairs.append((mlmd.Artifact(type_id=artifact_type, uri=str(uri)), event))
        execution = mlmd.Execution(type_id=execution_type, last_known_state=mlmd.Execution.State.Value(state))
        store.put_execution(execution, pairs, contexts)


BEST = [{"members": ["K2-H4"], "weights": [1.0], "bytes": 9, "gap": gap} for gap in (0.7, 0.6)]
REPORT = {"videos": 9, "limit_bytes": 9, "members": [], "combinations_fitting": 2, "ensembles": BEST}
ENSEMBLE = ("COMPLETE", {"report": {"report.json": REPORT}})
RESULT = {"pushed": True, "version": 3, "destination": "served/3", "reason": "pushed as version 3"}
PUSHED = ("COMPLETE", {"pushed_model": {"pushed.json": RESULT}})


def local(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    from pipeline.cli.main import app

    capsys.readouterr()
    app(args=["runs", *map(str, arguments)], standalone_mode=False)
    return capsys.readouterr().out


def test_local_runs_are_listed_with_state_gap_and_version(tmp_path, capsys) -> None:
    complete = ("CACHED", {})
    record(
        tmp_path / "a",
        "2026-11-23T10:00:00.000001",
        EnsembleAssembler=ENSEMBLE,
        Pusher=PUSHED,
        RunReport=complete,
    )
    record(
        tmp_path / "a", "2026-11-23T12:00:00.000001", ExampleGen=complete, EnsembleAssembler=("FAILED", {})
    )
    record(tmp_path / "b", "2026-11-23T11:00:00.000001", EnsembleAssembler=ENSEMBLE, Pusher=("RUNNING", {}))
    listed = json.loads(local(capsys, "--root", tmp_path, "--json"))["runs"]
    facts = ("recipe", "started", "state", "nodes", "gap", "pushed_version")
    assert [tuple(run[key] for key in facts) for run in listed] == [
        ("a", "2026-11-23T12:00:00.000001", "failed", 1, None, None),
        ("b", "2026-11-23T11:00:00.000001", "stopped", 1, 0.7, None),
        ("a", "2026-11-23T10:00:00.000001", "succeeded", 3, 0.7, 3),
    ]
    assert all(run["seconds"] >= 0 for run in listed)
    table = local(capsys, "--root", tmp_path, "--limit", 2).splitlines()
    assert len(table) == 3
    assert table[2].split() == [
        "2026-11-23",
        "11:00:00",
        "stopped",
        table[2].split()[3],
        "0.7000",
        "-",
        "-",
        "b",
    ]


def test_the_gap_on_the_holdout_is_listed_beside_the_other(tmp_path, capsys) -> None:
    for name, more in (("a", {}), ("b", {"split": "holdout"})):
        results = {"results.json": {"candidate": metrics(0.65, 9), "baseline": None, **more}}
        record(
            tmp_path / name,
            "2026-11-23T10:00:00.000001",
            EnsembleAssembler=ENSEMBLE,
            Evaluator=("COMPLETE", {"evaluation": results}),
        )
    listed = json.loads(local(capsys, "--root", tmp_path, "--json"))["runs"]
    assert {run["recipe"]: run["holdout_gap"] for run in listed} == {"a": None, "b": 0.65}
    assert "0.7000  0.6500      -  b" in local(capsys, "--root", tmp_path)


def test_a_run_that_pushed_and_could_not_write_its_report_did_not_fail(tmp_path, capsys) -> None:
    record(
        tmp_path / "a",
        "2026-11-23T10:00:00.000001",
        EnsembleAssembler=ENSEMBLE,
        Pusher=PUSHED,
        RunReport=("FAILED", {}),
    )
    (run,) = json.loads(local(capsys, "--root", tmp_path, "--json"))["runs"]
    assert (run["state"], run["gap"], run["pushed_version"]) == ("no_report", 0.7, 3)


def test_a_damaged_record_hides_no_run(tmp_path, capsys, caplog) -> None:
    for day in (22, 23):
        record(tmp_path / "a", f"2026-11-{day}T10:00:00.000001", EnsembleAssembler=ENSEMBLE)
    damaged = tmp_path / "a/logs/2026-11-22T100000.000001.json"
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_text('{"run_id": ')
    listed = json.loads(local(capsys, "--root", tmp_path, "--json"))["runs"]
    assert [run["gap"] for run in listed] == [0.7, 0.7]
    assert f"{damaged} cannot be read" in caplog.text


def test_a_local_run_that_holds_its_lock_is_running(tmp_path, capsys) -> None:
    for run_id in ("2026-11-23T10:00:00.000001", "2026-11-23T11:00:00.000001"):
        record(tmp_path / "a", run_id, ExampleGen=("RUNNING", {}))
    with open(tmp_path / "a/lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        states = [run["state"] for run in json.loads(local(capsys, "--root", tmp_path, "--json"))["runs"]]
    assert states == ["running", "stopped"]


def test_a_database_that_cannot_be_read_hides_no_other(tmp_path, capsys, caplog) -> None:
    record(tmp_path / "a", "2026-11-23T10:00:00.000001", RunReport=("COMPLETE", {}))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/metadata.sqlite").write_text("nonsense" * 1000)
    for root in (tmp_path, tmp_path / "a"):
        assert [run["recipe"] for run in json.loads(local(capsys, "--root", root, "--json"))["runs"]] == ["a"]
    assert "broken/metadata.sqlite cannot be read: " in caplog.text


@pytest.mark.parametrize("content", ["nonsense" * 1000, ""])
def test_where_the_only_database_cannot_be_read_damage_is_no_want_of_runs(tmp_path, capsys, content) -> None:
    (tmp_path / "metadata.sqlite").write_text(content)
    if content:
        with pytest.raises(UserError, match=r"metadata\.sqlite is damaged, or no database of runs"):
            local(capsys, "--root", tmp_path)
    else:  # a run has only just begun
        assert "there is no run below" in local(capsys, "--root", tmp_path)


def test_a_database_that_a_run_is_writing_to_is_read_and_not_changed(tmp_path, capsys) -> None:
    record(tmp_path / "a", "2026-11-23T10:00:00.000001", RunReport=("COMPLETE", {}))
    database = tmp_path / "a/metadata.sqlite"
    before = database.read_bytes()
    with sqlite3.connect(database) as writer:
        writer.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        (run,) = json.loads(local(capsys, "--root", tmp_path, "--json"))["runs"]
    assert (run["state"], database.read_bytes()) == ("succeeded", before)
    assert time.monotonic() - began < 30


def test_no_local_runs(tmp_path, capsys) -> None:
    assert "there is no run below" in local(capsys, "--root", tmp_path)
    with pytest.raises(UserError, match="there is no such directory"):
        local(capsys, "--root", tmp_path / "none")
    (tmp_path / "train0000.tfrecord").touch()
    with pytest.raises(
        UserError, match=r"has train0000\.tfrecord and no runs: give --root the directory where"
    ):
        local(capsys, "--root", tmp_path)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/lock").touch()  # a run that has just begun
    assert "there is no run below" in local(capsys, "--root", tmp_path)


def test_local_runs_wait_for_no_tfx_and_no_kfp(tmp_path) -> None:
    import subprocess
    import sys

    code = (
        "import sys; from pipeline.cli.main import app\n"
        f"app(args=['runs', '--root', {str(tmp_path)!r}, '--json'], standalone_mode=False)\n"
        "assert not {'tfx', 'tensorflow', 'kfp'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"runs": []}), done.stderr
