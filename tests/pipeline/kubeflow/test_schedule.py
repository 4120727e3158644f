import json

import pytest

from tests.pipeline import compiled_file
from trainer.base.errors import UserError

WEEKLY = ("--cron", "0 3 * * 1")
RECURRING = "/apis/v2beta1/recurringruns"


def states(cluster) -> list[tuple[str, str]]:
    return [(one["display_name"], one["status"]) for one in cluster.things["recurringruns"]]


def test_schedule_creates_a_recurring_run_that_is_on(cluster, yt8m, file) -> None:
    made = json.loads(
        yt8m("schedule", file, *WEEKLY, "--no-catchup", "--max-concurrency", 2, "--service-account", "robot",
             "--param", "limit_bytes=5000000", "--name", "weekly", "--json")
    )  # fmt: skip
    (recurring,), (version,), (experiment,) = (
        cluster.things[kind] for kind in ("recurringruns", "versions", "experiments")
    )
    assert {key: recurring[key] for key in recurring if key not in ("recurring_run_id", "created_at")} == {
        "display_name": "weekly",
        "experiment_id": experiment["experiment_id"],
        "max_concurrency": 2,
        "mode": "DISABLE",
        "no_catchup": True,
        "pipeline_version_reference": {
            "pipeline_id": version["pipeline_id"],
            "pipeline_version_id": version["pipeline_version_id"],
        },
        "runtime_config": {"parameters": {"limit_bytes": 5000000}, "pipeline_root": "gs://bucket/root"},
        "service_account": "robot",
        "status": "ENABLED",
        "trigger": {"cron_schedule": {"cron": "0 0 3 * * 1"}},
    }
    assert made == {
        "recurring_run_id": recurring["recurring_run_id"],
        "name": "weekly",
        "state": "enabled",
        "cron": "0 0 3 * * 1",
        "max_concurrency": 2,
        "no_catchup": True,
        "pipeline_version_id": version["pipeline_version_id"],
        "created": recurring["created_at"].replace("Z", "+00:00"),
        "link": f"{cluster.url}/#/recurringrun/details/{recurring['recurring_run_id']}",
        "replaced": [],
        "kept": [],
    }


def test_a_schedule_of_the_name_is_replaced_and_no_two_are_on_at_once(
    cluster, yt8m, file, monkeypatch
) -> None:
    yt8m("schedule", file, *WEEKLY)
    (old,) = cluster.things["recurringruns"]
    other = cluster.make("recurringruns", display_name="other", status="ENABLED")
    answer, on = type(cluster).answer, []

    def watched(self, request):
        answered = answer(self, request)
        on.append(states(self).count(("tiny", "ENABLED")))
        return answered

    monkeypatch.setattr(type(cluster), "answer", watched)
    made = json.loads(yt8m("schedule", file, "--cron", "30 4 * * *", "--json"))
    assert made["replaced"] == [old["recurring_run_id"]]
    assert set(on) == {0, 1}
    assert cluster.things["recurringruns"][0] is other
    assert [one["trigger"]["cron_schedule"]["cron"] for one in cluster.things["recurringruns"][1:]] == [
        "0 30 4 * * *"
    ]
    assert states(cluster) == [("other", "ENABLED"), ("tiny", "ENABLED")]


@pytest.mark.parametrize(
    "at", ["POST /apis/v2beta1/pipelines/upload_version", f"POST {RECURRING}$", f"POST {RECURRING}/.*:enable"]
)
def test_the_old_schedule_stays_on_when_the_new_one_is_refused(cluster, yt8m, file, at) -> None:
    yt8m("schedule", file, *WEEKLY)
    (old,) = cluster.things["recurringruns"]
    spec, platform = compiled_file.documents()
    spec["defaultPipelineRoot"] = "gs://bucket/other"
    compiled_file.write(file, spec, platform)

    def refuse(identity: str) -> None:
        cluster.fail(at.replace(".*", f"(?!{identity})[^/]*"), 400)

    refuse(old["recurring_run_id"])
    with pytest.raises(UserError, match="the reason"):
        yt8m("schedule", file, "--cron", "0 4 * * *")
    assert cluster.things["recurringruns"] == [old]
    assert (old["status"], old["trigger"]["cron_schedule"]["cron"]) == ("ENABLED", "0 0 3 * * 1")


def test_an_old_schedule_that_cannot_be_deleted_is_off_and_the_next_time_deletes_it(
    cluster, yt8m, file
) -> None:
    yt8m("schedule", file, *WEEKLY)
    cluster.fail(f"DELETE {RECURRING}", 403)
    with pytest.raises(UserError, match="does not allow"):
        yt8m("schedule", file, *WEEKLY)
    assert states(cluster) == [("tiny", "DISABLED"), ("tiny", "ENABLED")]
    cluster.failures.clear()
    yt8m("schedule", file, *WEEKLY)
    assert states(cluster) == [("tiny", "ENABLED")]


def test_a_paused_schedule_stays_paused_when_it_is_replaced(cluster, yt8m, file) -> None:
    yt8m("schedule", file, *WEEKLY)
    yt8m("schedule", "--pause", "tiny")
    assert "paused, as before: --resume tiny" in yt8m("schedule", file, "--cron", "0 4 * * *")
    assert states(cluster) == [("tiny", "DISABLED")]


def test_pause_resume_list_and_delete(cluster, yt8m, file) -> None:
    assert "there is no schedule" in yt8m("schedule", "--list")
    yt8m("schedule", file, *WEEKLY)
    (one,) = cluster.things["recurringruns"]
    assert json.loads(yt8m("schedule", "--pause", "tiny", "--json")) == {"paused": [one["recurring_run_id"]]}
    assert one["status"] == "DISABLED"
    (listed,) = json.loads(yt8m("schedule", "--list", "--json"))["schedules"]
    assert (listed["name"], listed["state"], listed["cron"]) == ("tiny", "disabled", "0 0 3 * * 1")
    assert yt8m("schedule", "--list").split()[:6] == ["disabled", "0", "3", "*", "*", "1"]
    yt8m("schedule", "--resume", "tiny")
    assert one["status"] == "ENABLED"
    yt8m("schedule", "--delete", "tiny")
    assert cluster.things["recurringruns"] == []
    with pytest.raises(UserError, match="no schedule is named tiny; there are none"):
        yt8m("schedule", "--delete", "tiny")


def test_all_pages_are_read(cluster, yt8m) -> None:
    for number in range(5):
        cluster.make("recurringruns", display_name=f"s{number}", status="ENABLED")
    cluster.page_size = 2
    listed = json.loads(yt8m("schedule", "--list", "--json"))["schedules"]
    assert [one["name"] for one in listed] == ["s4", "s3", "s2", "s1", "s0"]


def test_of_several_of_a_name_the_newest_is_resumed_unless_an_older_one_is_on(cluster, yt8m) -> None:
    older, _ = (cluster.make("recurringruns", display_name="tiny", status="DISABLED") for _ in range(2))
    yt8m("schedule", "--resume", "tiny")
    assert states(cluster) == [("tiny", "DISABLED"), ("tiny", "ENABLED")]
    older["status"] = "ENABLED"
    yt8m("schedule", "--pause", "tiny")
    older["status"] = "ENABLED"
    with pytest.raises(UserError, match="2 schedules are named tiny"):
        yt8m("schedule", "--resume", "tiny")
    assert states(cluster) == [("tiny", "ENABLED"), ("tiny", "DISABLED")]


# Runs of a schedule that goes away -------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("--delete", "tiny"), ("FILE", "--cron", "0 4 * * *")])
@pytest.mark.parametrize("through_ui", [False, True])
def test_a_run_outlives_its_schedule(cluster, yt8m, file, arguments, through_ui) -> None:
    cluster.through_ui = through_ui
    yt8m("schedule", file, *WEEKLY)
    (old,) = cluster.things["recurringruns"]
    run = cluster.start_scheduled(old)
    yt8m("schedule", *(file if one == "FILE" else one for one in arguments))
    assert old not in cluster.things["recurringruns"]
    assert cluster.workflows == {run["run_id"]: None}


@pytest.mark.parametrize("version", ["2.15.2", "2.2.0", "unknown", "release-of-ours"])
def test_an_older_server_keeps_a_deleted_schedule_until_its_run_has_ended(
    cluster, yt8m, file, version, caplog
) -> None:
    yt8m("schedule", file, *WEEKLY)
    (one,) = cluster.things["recurringruns"]
    cluster.start_scheduled(one, state="SUCCEEDED")
    run = cluster.start_scheduled(one)
    cluster.version = version
    said = yt8m("schedule", "--delete", "tiny")
    assert f"tiny starts no more runs, but {one['recurring_run_id']} cannot be deleted before" in said
    assert f"would end its run {run['run_id']} with it" in caplog.text
    assert states(cluster) == [("tiny", "DISABLED")]
    assert run["run_id"] in cluster.workflows
    kept = json.loads(yt8m("schedule", "--delete", "tiny", "--json"))
    assert kept == {"deleted": [], "kept": [one["recurring_run_id"]]}
    run["state"] = "FAILED"
    gone = json.loads(yt8m("schedule", "--delete", "tiny", "--json"))
    assert gone == {"deleted": [one["recurring_run_id"]], "kept": []}


def test_an_older_server_keeps_a_replaced_schedule_disabled_and_the_next_time_deletes_it(
    cluster, yt8m, file
) -> None:
    cluster.version = "2.14.3"
    yt8m("schedule", file, *WEEKLY)
    (old,) = cluster.things["recurringruns"]
    run = cluster.start_scheduled(old)
    made = json.loads(yt8m("schedule", file, "--cron", "0 4 * * *", "--json"))
    assert made["replaced"] == made["kept"] == [old["recurring_run_id"]]
    assert states(cluster) == [("tiny", "DISABLED"), ("tiny", "ENABLED")]
    assert run["run_id"] in cluster.workflows
    yt8m("schedule", "--pause", "tiny")
    yt8m("schedule", "--resume", "tiny")
    assert states(cluster) == [("tiny", "DISABLED"), ("tiny", "ENABLED")]
    assert "which it replaces, stays disabled" in yt8m("schedule", file, "--cron", "0 5 * * *")
    run["storage_state"] = "ARCHIVED"  # the way out for one whose state never changes again
    yt8m("schedule", file, "--cron", "0 6 * * *")
    assert states(cluster) == [("tiny", "ENABLED")]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "give one of FILE"),
        (["--list", "--pause", "a"], "give one of FILE"),
        (["FILE"], "--cron: when"),
        (["FILE", "--cron", "0 3 * 13 *"], "the month '13'"),
        (["FILE", "--cron", "0 0 3 * * 1"], "five fields"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_sent(cluster, yt8m, file, arguments, reason) -> None:
    with pytest.raises(UserError, match=reason):
        yt8m("schedule", *(file if one == "FILE" else one for one in arguments))
    assert cluster.requests == []
