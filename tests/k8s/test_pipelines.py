"""What runs of pipelines may do."""

import pytest
import yaml

from pipeline.recipe.pools import pool_profiles
from tests.k8s.overlays import find, settings
from tests.k8s.test_objects import GKE_VERSIONS, check

OVERLAYS = pytest.mark.parametrize(
    ("overlay", "namespace"),
    [("pipelines/overlays/standalone", "kubeflow"), ("pipelines/overlays/multi-user", "yt8m")],
)


@OVERLAYS
def test_everything_is_in_the_namespace_of_the_runs(build, overlay, namespace):
    objects = build(overlay)
    assert {item["metadata"].get("namespace", namespace) for item in objects} == {namespace}
    if namespace == "yt8m":
        assert find(objects, "Profile")["metadata"]["name"] == namespace
        assert find(objects, "Profile")["spec"]["owner"]["name"] == settings()["PROFILE_OWNER"]


@OVERLAYS
def test_runs_may_do_exactly_what_driver_launcher_and_argo_ask_for(build, overlay, namespace):
    objects = build(overlay)
    rules = find(objects, "Role")["rules"]
    assert rules == [
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["kfp-launcher"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": ["argoproj.io"], "resources": ["workflows"], "verbs": ["get"]},
        {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]},
    ]
    binding, account = find(objects, "RoleBinding"), find(objects, "ServiceAccount")["metadata"]["name"]
    assert binding["roleRef"]["name"] == find(objects, "Role")["metadata"]["name"]
    (subject,) = binding["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": account, "namespace": namespace}


@OVERLAYS
def test_gpus_are_limited(build, overlay, namespace):
    assert find(build(overlay), "ResourceQuota")["spec"]["hard"] == {
        "requests.nvidia.com/gpu": settings()["PIPELINE_GPUS"]
    }


@OVERLAYS
def test_nobody_connects_to_the_pods_of_runs(build, overlay, namespace):
    policy = find(build(overlay), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in policy
    assert policy["podSelector"]["matchExpressions"] == [
        {"key": "workflows.argoproj.io/workflow", "operator": "Exists"}
    ]
    assert all(rule["to"] and rule["ports"] for rule in policy["egress"]), (
        "no rule is open to all or on all ports"
    )


def test_the_retry_policy_is_set_in_kfps_own_config_map_and_nothing_else_is(build):
    (config_map,) = build("pipelines/retries")
    check(config_map, GKE_VERSIONS[-1])
    assert (config_map["kind"], config_map["metadata"]) == (
        "ConfigMap",
        {"name": "workflow-controller-configmap", "namespace": "kubeflow"},
    )
    assert list(config_map["data"]) == ["workflowDefaults"]
    defaults = yaml.safe_load(config_map["data"]["workflowDefaults"])["spec"]["templateDefaults"]
    # Argo merges this under what KFP compiles of a retry policy: a limit and a backoff, no retryPolicy.
    assert defaults == {"retryStrategy": {"limit": "2", "retryPolicy": "Always"}}


@pytest.mark.parametrize(
    ("overlay", "namespace"),
    [("pipelines/queue/standalone", "kubeflow"), ("pipelines/queue/multi-user", "yt8m")],
)
def test_the_queue_hands_out_the_gpus_of_the_settings(build, overlay, namespace):
    objects, values = build(overlay), settings()
    queue, cluster_queue = find(objects, "LocalQueue"), find(objects, "ClusterQueue")["spec"]
    assert queue["metadata"] == {"name": "yt8m", "namespace": namespace}
    assert queue["spec"]["clusterQueue"] == find(objects, "ClusterQueue")["metadata"]["name"]
    (admitted,) = cluster_queue["namespaceSelector"]["matchExpressions"]
    assert namespace in admitted["values"]
    (group,) = cluster_queue["resourceGroups"]
    profiles = pool_profiles()
    for flavor in group["flavors"]:
        name = flavor["name"]
        assert find(objects, "ResourceFlavor", name)["spec"]["nodeLabels"] == profiles[name].labels
        quotas = {item["name"]: item["nominalQuota"] for item in flavor["resources"]}
        assert list(quotas) == group["coveredResources"]
        assert quotas[profiles[name].resource] == values[f"{name.upper()}_GPUS"]
