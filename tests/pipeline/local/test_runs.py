import fcntl
import json
import logging
import sqlite3
import time
from pathlib import Path

import pytest

from tests.components.report_samples import metrics
from tests.pipeline.fake_kubeflow import task_details
from trainer.base.errors import UserError

DETAILS = "GET /apis/v2beta1/runs/"


def test_runs_of_a_cluster_are_listed_newest_first(cluster, yt8m) -> None:
    done = cluster.make("runs", display_name="old", state="SUCCEEDED", finished_at="2026-11-23T02:01:00Z")
    on = cluster.make(
        "runs", display_name="new", state="RUNNING", recurring_run_id="r1", finished_at="1970-01-01T00:00:00Z"
    )
    cluster.page_size = 1
    listed = json.loads(yt8m("runs", "--json"))["runs"]
    assert listed == [
        {
            "run_id": on["run_id"],
            "name": "new",
            "state": "running",
            "created": "2026-11-23T00:02:00+00:00",
            "finished": None,
            "seconds": None,
            "recurring_run_id": "r1",
            "link": f"{cluster.url}/#/runs/details/{on['run_id']}",
        },
        {
            "run_id": done["run_id"],
            "name": "old",
            "state": "succeeded",
            "created": "2026-11-23T00:01:00+00:00",
            "finished": "2026-11-23T02:01:00+00:00",
            "seconds": 7200.0,
            "recurring_run_id": None,
            "link": f"{cluster.url}/#/runs/details/{done['run_id']}",
        },
    ]
    lines = yt8m("runs", "--limit", 1).splitlines()
    assert len(lines) == 1
    assert " new " in lines[0]


def played(cluster, monkeypatch, *states: tuple[str, dict[str, str | None]], **fields) -> dict:
    """A run whose state is the next one at each question."""
    run = cluster.make("runs", display_name="one", state="PENDING", **fields)
    left, answer = list(states), type(cluster).answer

    def next_state(self, request):
        if request.line.startswith(DETAILS) and left:
            run["state"], tasks = left.pop(0)
            run["run_details"] = task_details(tasks)
        return answer(self, request)

    monkeypatch.setattr(type(cluster), "answer", next_state)
    return run


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="yt8m.runs")
    return caplog


def test_watch_says_what_changes_and_ends_with_the_run(cluster, yt8m, monkeypatch, lines) -> None:
    cluster.make("runs", display_name="older", state="FAILED")
    played(
        cluster,
        monkeypatch,
        ("PENDING", {}),
        ("RUNNING", {"root": "RUNNING", "A-driver": "SUCCEEDED", "A": "RUNNING", "executor(0)": "FAILED"}),
        ("RUNNING", {"root": "RUNNING", "A": "SUCCEEDED", "B": "RUNNING"}),
        ("SUCCEEDED", {"root": "SUCCEEDED", "A": "SUCCEEDED", "B": "SUCCEEDED"}),
    )
    out = yt8m("runs", "--watch", "newest", "--poll-seconds", 0.01)
    assert lines.messages == [
        "one: pending", "A: running", "one: running", "A: succeeded", "B: running", "B: succeeded", "one: succeeded",
    ]  # fmt: skip
    assert out.startswith("one succeeded: ")


@pytest.mark.parametrize("state", ["FAILED", "CANCELED"])
def test_watch_fails_with_the_run_and_names_the_tasks(cluster, yt8m, monkeypatch, state) -> None:
    from pipeline.kubeflow.cluster.cluster_runs import RunEndedError

    run = played(cluster, monkeypatch, ("RUNNING", {}), (state, {"A": "SUCCEEDED", "B": "FAILED"}))
    with pytest.raises(
        RunEndedError, match=rf"one {state.lower()}; failed tasks: B; .*/details/{run['run_id']}"
    ):
        yt8m("runs", "--watch", run["run_id"], "--poll-seconds", 0.01)


def test_watch_shows_our_tasks_only_and_omitted_ones_as_that(cluster, yt8m, monkeypatch, lines) -> None:
    from pipeline.kubeflow.cluster.cluster_runs import RunEndedError

    nodes = {"root": "RUNNING", "root(0)": "RUNNING", "root-driver": "SUCCEEDED", "executor": "FAILED"}
    run = played(
        cluster,
        monkeypatch,
        ("RUNNING", {}),
        ("RUNNING", {**nodes, "Evaluator": "RUNNING", "Evaluator(0)": "FAILED", "Pusher": None}),
        ("FAILED", {**nodes, "Evaluator": "FAILED", "Pusher": None, "RunReport": None}),
    )
    with pytest.raises(RunEndedError, match="one failed; failed tasks: Evaluator; "):
        yt8m("runs", "--watch", run["run_id"], "--poll-seconds", 0.01)
    assert lines.messages == [
        "one: running", "Evaluator: running",
        "Evaluator: failed", "Pusher: omitted", "RunReport: omitted", "one: failed",
    ]  # fmt: skip


# A run that has lost its workflow --------------------------------------------------------------------------------


@pytest.mark.usefixtures("kubectl_context")
@pytest.mark.parametrize("seen", [True, False])
def test_watch_ends_when_the_workflow_is_gone(cluster, yt8m, monkeypatch, seen) -> None:
    from pipeline.kubeflow.cluster.cluster_runs import RunEndedError

    cluster.make(
        "runs", display_name="another", state="SUCCEEDED"
    )  # by which the cluster is known to be the right one
    run = cluster.make("runs", display_name="one", state="RUNNING")
    if seen:
        answer, asked = type(cluster).answer, []

        def delete_later(self, request):
            asked.append(request)
            if len(asked) == 6:
                del self.workflows[run["run_id"]]
            return answer(self, request)

        monkeypatch.setattr(type(cluster), "answer", delete_later)
    else:
        del cluster.workflows[run["run_id"]]
    with pytest.raises(
        RunEndedError, match=r"one says running, and nothing of it runs any more.*start it again"
    ):
        yt8m("runs", "--watch", run["run_id"], "--poll-seconds", 0.01)


@pytest.mark.usefixtures("kubectl_context")
@pytest.mark.parametrize("others", [{}, {"of-another-installation": None}])
def test_another_cluster_in_kubectls_context_says_nothing_of_the_run(
    cluster, yt8m, monkeypatch, others
) -> None:
    run = played(cluster, monkeypatch, *[("RUNNING", {})] * 5, ("SUCCEEDED", {}))
    cluster.workflows = others
    assert "one succeeded" in yt8m("runs", "--watch", run["run_id"], "--poll-seconds", 0.01)


@pytest.mark.usefixtures("kubectl_context")
def test_the_workflow_is_looked_for_where_the_runs_experiment_is(cluster, yt8m, monkeypatch) -> None:
    cluster.multi_user, cluster.namespace = True, "team"
    experiment = cluster.make("experiments", display_name="e", namespace="team")["experiment_id"]
    run = played(cluster, monkeypatch, *[("RUNNING", {})] * 4, ("SUCCEEDED", {}), experiment_id=experiment)
    yt8m("runs", "--watch", run["run_id"], "--poll-seconds", 0.01, "--namespace", "mine")
    asked = {request.path.split("/")[-2] for request in cluster.requests if "workflows" in request.path}
    assert asked == {"team"}


def test_without_kubectl_an_old_servers_deleted_schedule_ends_the_watch_of_its_run(cluster, yt8m) -> None:
    from pipeline.kubeflow.cluster.cluster_runs import RunEndedError

    recurring = cluster.make("recurringruns", display_name="weekly", status="ENABLED")
    run = cluster.start_scheduled(recurring)
    cluster.things["recurringruns"].clear()
    cluster.version = "2.14.3"
    with pytest.raises(RunEndedError, match="nothing of it runs any more"):
        yt8m("runs", "--watch", run["run_id"], "--poll-seconds", 0.01)


def test_without_kubectl_a_deleted_schedule_of_a_new_server_is_a_hint(
    cluster, yt8m, monkeypatch, lines
) -> None:
    run = played(
        cluster, monkeypatch, *[("RUNNING", {})] * 3, ("SUCCEEDED", {}), recurring_run_id="recurringruns-99"
    )
    yt8m("runs", "--watch", run["run_id"], "--poll-seconds", 0.01)
    (hint,) = (line for line in lines.messages if "schedule" in line)
    assert f"-l pipeline/runid={run['run_id']}" in hint


def test_watch_outlives_a_restart_of_the_server_but_not_its_end(cluster, yt8m, monkeypatch, lines) -> None:
    from pipeline.kubeflow.cluster import cluster_runs
    from pipeline.kubeflow.cluster.api_errors import ClusterError

    monkeypatch.setattr(cluster_runs, "_PATIENCE", 3)
    run = played(cluster, monkeypatch, ("RUNNING", {}), ("RUNNING", {}), ("SUCCEEDED", {}))
    answer, asked = type(cluster).answer, []

    def flaky(self, request):
        asked.append(request)
        return (500, "{}", "application/json") if len(asked) in (3, 4) else answer(self, request)

    monkeypatch.setattr(type(cluster), "answer", flaky)
    yt8m("runs", "--watch", run["run_id"], "--poll-seconds", 0.01)
    assert sum("asking again" in line for line in lines.messages) == 2
    cluster.fail(DETAILS, 500)
    with pytest.raises(ClusterError):
        yt8m("runs", "--watch", run["run_id"], "--poll-seconds", 0.01)


def test_watch_of_nothing_is_refused(cluster, yt8m) -> None:
    from pipeline.cli.main import app

    with pytest.raises(UserError, match="there is no run to watch"):
        yt8m("runs", "--watch", "newest")
    with pytest.raises(UserError, match="runs none not found"):
        yt8m("runs", "--watch", "none")
    with pytest.raises(UserError, match="give its --host"):
        app(args=["runs", "--watch", "newest"], standalone_mode=False)


# Local runs -----------------------------------------------------------------------------------------------------


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
