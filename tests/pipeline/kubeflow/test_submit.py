import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.pipeline import compiled_file
from trainer.base.errors import UserError

UPLOAD = "POST /apis/v2beta1/pipelines/upload_version"


def test_submit_makes_the_pipeline_uploads_the_file_and_starts_a_run(cluster, yt8m, file) -> None:
    said = json.loads(yt8m("submit", file, "--run-name", "first", "--json"))
    assert cluster.lines() == [
        "POST /apis/v2beta1/pipelines",
        UPLOAD,
        "POST /apis/v2beta1/experiments",
        "POST /apis/v2beta1/runs",
    ]
    (pipeline,), (version,), (experiment,), (run,) = (
        cluster.things[kind] for kind in ("pipelines", "versions", "experiments", "runs")
    )
    assert (pipeline["display_name"], experiment["display_name"]) == ("tiny", "tiny")
    assert version["content"] == file.read_text()
    assert {key: run[key] for key in run if key not in ("run_id", "created_at")} == {
        "display_name": "first",
        "experiment_id": experiment["experiment_id"],
        "pipeline_version_reference": {
            "pipeline_id": pipeline["pipeline_id"],
            "pipeline_version_id": version["pipeline_version_id"],
        },
        "runtime_config": {"parameters": {}, "pipeline_root": "gs://bucket/root"},
    }
    assert said == {
        "pipeline": "tiny",
        "pipeline_id": pipeline["pipeline_id"],
        "version_id": version["pipeline_version_id"],
        "name": "first",
        "uploaded": True,
        "run_id": run["run_id"],
        "link": f"{cluster.url}/#/runs/details/{run['run_id']}",
    }


def test_the_same_file_is_one_version_and_another_file_is_another(cluster, yt8m, file) -> None:
    yt8m("submit", file)
    again = json.loads(yt8m("submit", file, "--json"))
    assert not again["uploaded"]
    assert [len(cluster.things[kind]) for kind in ("pipelines", "versions", "experiments", "runs")] == [
        1,
        1,
        1,
        2,
    ]
    spec, platform = compiled_file.documents()
    spec["defaultPipelineRoot"] = "gs://bucket/other"
    compiled_file.write(file, spec, platform)
    assert json.loads(yt8m("submit", file, "--json"))["uploaded"]
    first, second = cluster.things["versions"]
    assert first["pipeline_id"] == second["pipeline_id"]
    assert first["display_name"] != second["display_name"]
    assert cluster.things["runs"][-1]["runtime_config"]["pipeline_root"] == "gs://bucket/other"


def test_options_reach_the_run(cluster, yt8m, file) -> None:
    yt8m("submit", file, "--experiment", "trial", "--service-account", "yt8m-pipeline", "--namespace", "team",
         "--pipeline-root", "gs://other/root", "--param", "limit_bytes=9000000", "--param", "max_reject_share=0.5",
         "--param", "push_destination=/models/a=b")  # fmt: skip
    (run,) = cluster.things["runs"]
    assert run["service_account"] == "yt8m-pipeline"
    assert run["runtime_config"] == {
        "pipeline_root": "gs://other/root",
        "parameters": {"limit_bytes": 9000000, "max_reject_share": 0.5, "push_destination": "/models/a=b"},
    }
    (pipeline,), (experiment,) = cluster.things["pipelines"], cluster.things["experiments"]
    assert (pipeline["namespace"], experiment["namespace"], experiment["display_name"]) == (
        "team",
        "team",
        "trial",
    )
    asked = {
        request.path: request.query.get("namespace")
        for request in cluster.requests
        if request.method == "GET"
    }
    assert asked["/apis/v2beta1/pipelines"] == asked["/apis/v2beta1/experiments"] == "team"


def test_a_version_that_is_refused_leaves_no_empty_pipeline_and_starts_nothing(cluster, yt8m, file) -> None:
    cluster.fail(UPLOAD, 400, "bad spec")
    with pytest.raises(UserError, match="refuses that \\(400\\): bad spec"):
        yt8m("submit", file)
    assert cluster.things["pipelines"] == cluster.things["runs"] == []
    kept = cluster.make("pipelines", display_name="tiny")
    with pytest.raises(UserError, match="bad spec"):
        yt8m("submit", file)
    assert cluster.things["pipelines"] == [kept]


KINDS = ("pipelines", "versions", "experiments")


@pytest.mark.parametrize("kind", KINDS)
def test_another_submit_of_the_file_at_the_same_time_is_no_error(
    cluster, yt8m, file, monkeypatch, kind
) -> None:
    """Between the question whether a thing is there and the command that makes it, somebody else makes it."""
    answer, list_things = type(cluster).answer, r"GET .*/(?:pipelines/[^/]+/)?" + kind + "$"
    others = []

    def make_others(self, request):
        answered = answer(self, request)
        if re.fullmatch(list_things, request.line) and not others:
            others.append(request)
            name = json.loads(request.query["filter"])["predicates"][0]["stringValue"]
            of = {"pipeline_id": request.path.split("/")[-2]} if kind == "versions" else {}
            self.make(kind, display_name=name, **of)
        return answered

    monkeypatch.setattr(type(cluster), "answer", make_others)
    said = json.loads(yt8m("submit", file, "--json"))
    assert [len(cluster.things[one]) for one in KINDS] == [1, 1, 1]
    (run,) = cluster.things["runs"]
    (version,) = cluster.things["versions"]
    assert said["uploaded"] == (kind != "versions")
    assert run["pipeline_version_reference"]["pipeline_version_id"] == version["pipeline_version_id"]
    assert run["experiment_id"] == cluster.things["experiments"][0]["experiment_id"]


def test_many_submits_of_one_new_file_at_once_start_a_run_each(cluster, yt8m, file) -> None:
    from pipeline.kubeflow.cluster.api_client import connected
    from pipeline.kubeflow.cluster.submission import RunSettings, start_run, upload
    from pipeline.kubeflow.cluster.target import Target
    from pipeline.kubeflow.package import read_package

    package, settings = read_package(str(file)), RunSettings(experiment=None, parameters={})
    with connected(Target(host=cluster.url)) as client, ThreadPoolExecutor(8) as threads:
        versions = [*threads.map(lambda _: upload(client, package), range(8))]
        [*threads.map(lambda version: start_run(client, package, version, settings), versions)]
    assert [len(cluster.things[one]) for one in (*KINDS, "runs")] == [1, 1, 1, 8]
    assert sum(version.uploaded for version in versions) == 1


def test_a_name_that_is_taken_by_a_thing_that_cannot_be_seen_is_said(cluster, yt8m, file) -> None:
    cluster.fail(UPLOAD, 409, "Failed to create a pipeline version")
    with pytest.raises(UserError, match="it exists already \\(409\\): Failed to create a pipeline version"):
        yt8m("submit", file)


def test_two_pipelines_of_the_name_are_refused(cluster, yt8m, file) -> None:
    cluster.make("pipelines", display_name="tiny")
    cluster.make("pipelines", display_name="tiny")
    with pytest.raises(UserError, match="2 pipelines named tiny"):
        yt8m("submit", file)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--param", "limit_byte=1"], "no such parameter, did you mean limit_bytes"),
        (["--param", "limit_bytes"], "is NAME=VALUE"),
        (
            ["--param", "limit_bytes=much"],
            "limit_bytes must be a whole number, such as 1073741824. Received: 'much'",
        ),
        (["--param", "limit_bytes=1.5"], "limit_bytes must be a whole number, .* Received: '1.5'"),
        (["--param", "limit_bytes=1024"], "limit_bytes must be at least 1,048,576 and .* Received: 1024"),
        (["--param", "max_reject_share=1.5"], "must be at least 0 and at most 1. Received: 1.5"),
        (
            ["--param", "limit_bytes=9000000", "--param", "limit_bytes=9000001"],
            "--param limit_bytes is given twice; give it once",
        ),
        (["--param", "max_reject_share=x"], "max_reject_share must be a number.*Received: 'x'"),
        (["--param", f"push_destination={'/x' * 5_000}"], "stores fewer than 10,000"),
        (["--pipeline-root", "/here"], "--pipeline-root: .*give gs://BUCKET/DIRECTORY"),
        (["--token-file", "/nonexistent"], "--token-file /nonexistent: there is no such file"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_sent(cluster, yt8m, file, arguments, reason) -> None:
    with pytest.raises(UserError, match=reason):
        yt8m("submit", file, *arguments)
    assert cluster.requests == []


def test_the_parameters_limit_counts_the_defaults() -> None:
    from pipeline.kubeflow.package import Package, parse_parameters

    package = Package("f", "", compiled_file.documents()[0])
    defaults = {"limit_bytes": 1073741824, "max_reject_share": 0.01, "push_destination": ""}
    most = 9_999 - len(json.dumps(defaults))
    parse_parameters(package, [f"push_destination={('x/' * most)[:most]}"])
    with pytest.raises(UserError, match="take 10,000 bytes"):
        parse_parameters(package, [f"push_destination={('x/' * most)[: most + 1]}"])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        ("", "is no pipeline as yt8m compile writes it"),
        (
            "{pipelineInfo: {name: x}, root: {dag: {tasks: {}}}, deploymentSpec: {executors: {}}, "
            "sdkVersion: kfp-2.13.0}",
            "it was compiled by kfp-2.13.0: give a file that yt8m compile wrote",
        ),
        ("a: b", "is no pipeline"),
        ("- a", "is no pipeline"),
        ("{", "is no pipeline"),
        ("\x00", "is no pipeline"),
        ("[" * 3000, "is no pipeline"),
        ("a: b\n---\nb: c\n---\nc: d", "is no pipeline"),
    ],
)
def test_what_is_no_compiled_pipeline_is_refused(cluster, yt8m, file, content, reason) -> None:
    file.unlink()
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=reason):
        yt8m("submit", file)
    assert cluster.requests == []


def test_what_the_backend_finds_out_too_late_is_refused(cluster, yt8m, file) -> None:
    spec, platform = compiled_file.documents()
    spec["root"]["dag"]["tasks"]["x" * 122] = spec["root"]["dag"]["tasks"]["Pusher"]
    compiled_file.write(file, spec, platform)
    with pytest.raises(UserError, match=r"the task name 'xxx.*at most 121"):
        yt8m("schedule", file, "--cron", "0 3 * * 1")
    assert cluster.requests == []


def test_a_host_is_needed_and_is_a_url(file) -> None:
    from pipeline.cli.main import app

    with pytest.raises(UserError, match="--host: which Kubeflow Pipelines"):
        app(args=["submit", str(file)], standalone_mode=False)
    with pytest.raises(UserError, match="--host is a URL"):
        app(args=["submit", str(file), "--host", "localhost:8080"], standalone_mode=False)
