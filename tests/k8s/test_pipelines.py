"""What runs of pipelines may do."""

import pytest

from tests.k8s.overlays import find, settings

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
