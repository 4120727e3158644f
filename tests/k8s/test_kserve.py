"""KServe's objects: our serving runtime, our fetch, and one InferenceService."""

import kubernetes_validate

from tests.k8s.overlays import K8S, container, find, settings
from tests.k8s.test_objects import GKE_VERSIONS

OVERLAY = "serving/overlays/kserve"


def runtime(objects):
    return find(objects, "ServingRuntime")["spec"]


def test_containers_are_what_a_pod_may_have(build):
    """KServe's schemas say of containers what a Pod's says: so they are checked as a Pod."""
    objects = build(OVERLAY)
    for spec in (
        {"containers": runtime(objects)["containers"], "volumes": runtime(objects)["volumes"]},
        {"containers": [find(objects, "ClusterStorageContainer")["spec"]["container"]]},
    ):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any"}, "spec": spec}
        assert kubernetes_validate.validate(pod, GKE_VERSIONS[-1], strict=True)
        for item in spec["containers"]:
            security = item["securityContext"]
            assert security["runAsNonRoot"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}


def test_the_server_is_the_one_of_the_deployments(build):
    objects, deployment = build(OVERLAY), container(build("serving/overlays/cpu"))
    (server,) = runtime(objects)["containers"]
    assert (server["image"], server["command"]) == (deployment["image"], deployment["command"])
    assert server["resources"]["limits"]["memory"] == deployment["resources"]["limits"]["memory"]
    both = {argument.split("=")[0] for argument in server["args"]}
    assert both - {argument.split("=")[0] for argument in deployment["args"]} == {
        "--model_name",
        "--model_base_path",
    }
    (volume,) = runtime(objects)["volumes"]
    config = find(objects, "ConfigMap", volume["configMap"]["name"])
    assert "monitoring.config" in config["data"]


def test_the_version_of_the_settings_is_fetched_by_our_script(build):
    objects, values = build(OVERLAY), settings()
    predictor = find(objects, "InferenceService")["spec"]["predictor"]
    assert predictor["model"]["storageUri"] == f"{values['MODEL_BASE']}/{values['STABLE_VERSION']}"
    assert predictor["canaryTrafficPercent"] == int(values["KSERVE_TRAFFIC"])
    storage = find(objects, "ClusterStorageContainer")
    assert predictor["storageContainerName"] == storage["metadata"]["name"]
    assert [item["prefix"] for item in storage["spec"]["supportedUriFormats"]] == [values["MODEL_BASE"]]
    script = (K8S / "serving" / "base" / "config" / "fetch.sh").read_text(encoding="utf-8")
    assert storage["spec"]["container"]["command"] == ["/bin/sh", "-c", script, "fetch.sh"]


def test_the_runtime_is_chosen_by_name_and_serves_the_format(build):
    objects = build(OVERLAY)
    model = find(objects, "InferenceService")["spec"]["predictor"]["model"]
    found = find(objects, "ServingRuntime")
    assert model["runtime"] == found["metadata"]["name"]
    assert model["modelFormat"] in found["spec"]["supportedModelFormats"]
    assert model["protocolVersion"] in found["spec"]["protocolVersions"]
