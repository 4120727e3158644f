import json

import pytest
import yaml

from tests.k8s.overlays import K8S
from tests.pipeline import compiled_file
from trainer.base.errors import UserError

ARGO = "/api/v1/namespaces/kubeflow/configmaps/workflow-controller-configmap"
ACCOUNT = "/api/v1/namespaces/kubeflow/serviceaccounts/yt8m-pipeline"
QUOTAS = "/api/v1/namespaces/kubeflow/resourcequotas"
NODES = "/api/v1/nodes"


def defaults(policy: str) -> str:
    return yaml.safe_dump(
        {"spec": {"templateDefaults": {"retryStrategy": {"limit": "2", "retryPolicy": policy}}}}
    )


@pytest.fixture
def healthy(cluster, kubectl_context, gcs):
    """A cluster that has everything."""
    cluster.objects = {
        ARGO: {"data": {"workflowDefaults": defaults("Always")}},
        ACCOUNT: {
            "metadata": {"annotations": {"iam.gke.io/gcp-service-account": "a@p.iam.gserviceaccount.com"}}
        },
        QUOTAS: {
            "items": [{"metadata": {"name": "yt8m-gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "8"}}}]
        },
        NODES: {"items": [{}, {}]},
    }
    return cluster


@pytest.fixture
def gpu_file(tmp_path):
    """A compiled pipeline with a step of 2 GPUs on nodes of a kind."""
    spec, platform = compiled_file.documents()
    executor = spec["deploymentSpec"]["executors"]["Pusher_executor"]["container"]
    executor["resources"] = {"accelerator": {"type": "nvidia.com/gpu", "count": "2"}}
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["Pusher_executor"]
    settings["nodeSelector"] = {"labels": {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"}}
    return compiled_file.write(tmp_path / "gpu.yaml", spec, platform)


@pytest.fixture
def findings(yt8m):
    def ask(*arguments: object) -> dict[str, tuple[str, str]]:
        said = yt8m("doctor", *arguments, "--json")
        return {one["what"]: (one["state"], one["text"]) for one in json.loads(said)["findings"]}

    return ask


def test_a_cluster_that_has_everything(healthy, findings, gpu_file) -> None:
    found = findings(gpu_file, "--service-account", "yt8m-pipeline")
    assert found == {
        "Kubeflow Pipelines": ("ok", "Kubeflow Pipelines 2.17.0"),
        "retries": ("ok", "a step is started again whatever ended it"),
        "service account": ("ok", "yt8m-pipeline acts as a@p.iam.gserviceaccount.com"),
        "GPU quota": ("ok", "yt8m-gpus allows 8 GPUs at once in kubeflow"),
        "nodes cloud.google.com/gke-accelerator=nvidia-tesla-t4": ("ok", "2"),
        "bucket": ("ok", "gs://bucket/root can be read with the account of this machine"),
    }
    (asked,) = (request for request in healthy.requests if request.path == NODES)
    assert asked.query == {"labelSelector": "cloud.google.com/gke-accelerator=nvidia-tesla-t4"}
    assert {request.method for request in healthy.requests} == {"GET"}


def test_the_bucket_that_models_are_pushed_to_is_asked_for_too(healthy, findings, gpu_file) -> None:
    gpu_file.write_text(gpu_file.read_text().replace("/models/yt8m", "gs://nowhere/models"))
    state, text = findings(gpu_file)["push.directory"]
    assert (state, "there is no bucket nowhere" in text) == ("warning", True)


@pytest.mark.parametrize(
    ("data", "state"),
    [
        ({"workflowDefaults": defaults("Always")}, "ok"),
        ({"workflowDefaults": defaults("OnError")}, "wrong"),
        ({"config": yaml.safe_dump({"workflowDefaults": yaml.safe_load(defaults("OnError"))})}, "wrong"),
        ({"workflowDefaults": "spec: {ttlStrategy: {secondsAfterSuccess: 1}}"}, "warning"),
        ({"executor": "imagePullPolicy: IfNotPresent"}, "warning"),
        (None, "warning"),
    ],
)
def test_the_retry_policy_of_the_installation(healthy, findings, data, state) -> None:
    healthy.objects[ARGO] = {"data": data} if data else {}
    found, text = findings()["retries"]
    assert found == state
    assert ("-k k8s/pipelines/retries" in text) == (state != "ok")


@pytest.mark.parametrize(("policy", "warned"), [("OnError", True), ("Always", False), (None, False)])
def test_submit_and_schedule_warn_where_failed_steps_are_final(
    healthy, yt8m, file, caplog, policy, warned
) -> None:
    if policy:
        healthy.objects[ARGO] = {"data": {"workflowDefaults": defaults(policy)}}
    else:
        del healthy.objects[ARGO]  # nobody can tell
    yt8m("submit", file)
    yt8m("schedule", file, "--cron", "0 3 * * 1")
    assert len(healthy.things["runs"]) == len(healthy.things["recurringruns"]) == 1
    assert caplog.text.count("the default policy OnError makes every failed step final") == 2 * warned


def test_what_is_wrong_is_said_and_the_exit_code_is_1(healthy, findings, gpu_file, capsys) -> None:
    from pipeline.cli.main import app

    healthy.version = "2.14.3"
    healthy.objects[QUOTAS]["items"][0]["spec"]["hard"]["requests.nvidia.com/gpu"] = "1"
    healthy.objects[NODES] = {"items": []}
    del healthy.objects[ACCOUNT]
    arguments = (gpu_file, "--service-account", "yt8m-pipeline", "--pipeline-root", "gs://nowhere/root")
    found = findings(*arguments)
    assert {what.split()[0]: state for what, (state, _) in found.items()} == {
        "Kubeflow": "warning", "retries": "ok", "service": "wrong", "GPU": "wrong", "nodes": "warning",
        "bucket": "warning",
    }  # fmt: skip
    assert "there is no bucket nowhere" in found["bucket"][1]
    assert "a Trainer asks for 2: it never starts" in found["GPU quota"][1]
    command = ["doctor", *map(str, arguments), "--host", healthy.url]
    assert app(args=command, standalone_mode=False) == 1
    said = capsys.readouterr().out
    assert "WRONG  service account: there is no service account yt8m-pipeline in kubeflow" in said


def test_several_users_need_a_namespace(healthy, findings) -> None:
    healthy.multi_user = True
    assert findings()["namespace"][0] == "wrong"
    assert "namespace" not in findings("--namespace", "team")


def test_without_kubectl_the_rest_is_asked(cluster, findings) -> None:
    found = findings()
    assert found["Kubeflow Pipelines"][0] == "ok"
    state, text = found["retries"]
    assert state == "unknown"
    assert "kubectl has no context to ask with" in text
    assert "from 2.17 on the installation's own default makes every failed step final" in text
    cluster.version = "2.16.0"
    assert "2.17" not in findings()["retries"][1]


def test_what_may_not_be_asked_is_unknown(healthy, findings) -> None:
    healthy.failures["GET /api/v1/nodes|GET .*/resourcequotas"] = (403, "{}", "application/json")
    state, text = findings()["GPU quota"]
    assert (state, "403" in text, "context ours" in text) == ("unknown", True, True)


def test_a_cluster_that_is_not_there_is_a_line(yt8m, cluster) -> None:
    cluster.fail("GET .*healthz", 401)
    with pytest.raises(UserError, match="does not know who asks"):
        yt8m("doctor")


def test_the_object_of_k8s_is_what_the_doctor_wants() -> None:
    """And keeps what the installation's own has: the same time to live."""
    from pipeline.kubeflow.cluster.doctor import retry_policy

    config_map = yaml.safe_load((K8S / "pipelines/retries/workflow-controller-configmap.yaml").read_text())
    assert retry_policy(config_map) == "Always"
    spec = yaml.safe_load(config_map["data"]["workflowDefaults"])["spec"]
    assert set(spec) == {"ttlStrategy", "templateDefaults"}
    assert list(config_map["data"]) == ["workflowDefaults"], "server-side apply leaves the other keys alone"
