"""``yt8m runs`` of a cluster: the list, and the watch of a run."""

import json
import logging

import pytest

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
