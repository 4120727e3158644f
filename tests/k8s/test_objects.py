"""What holds for every object of every overlay."""

import copy
import functools
import json
import shutil
import subprocess

import jsonschema
import kubernetes_validate
import pytest

from tests.k8s.crds import CRDS
from tests.k8s.overlays import K8S, OTHER_SERVING, PIPELINES, SERVING, SOURCE, Object, find, settings

GKE_VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")
"""What GKE's channels offer (autumn of 2026), from Extended to Rapid."""

EVERY = pytest.mark.parametrize("overlay", SERVING + OTHER_SERVING + PIPELINES)


@functools.cache
def _check(text: str, version: str) -> None:
    """Cached, as overlays have most of their objects in common."""
    item = json.loads(text)
    schema = CRDS.get((item["apiVersion"], item["kind"]))
    if schema is None:
        assert kubernetes_validate.validate(item, version, strict=True) == version
    else:
        jsonschema.Draft202012Validator(schema).validate(item)


def check(item: Object, version: str) -> None:
    _check(json.dumps(item, sort_keys=True), version)


@EVERY
def test_every_object_is_valid_in_every_version_that_gke_offers(build, overlay):
    objects = build(overlay)
    assert len(objects) >= 4
    for version in GKE_VERSIONS:
        for item in objects:
            check(item, version)


@pytest.mark.parametrize("overlay", ["serving/overlays/cpu", "pipelines/config-connector"])
def test_an_unknown_field_is_noticed(build, overlay):
    for item in build(overlay):
        if "spec" not in item:
            continue
        wrong = copy.deepcopy(item)
        wrong["spec"]["replcias"] = 2
        with pytest.raises(jsonschema.ValidationError):
            check(wrong, GKE_VERSIONS[-1])


@EVERY
def test_no_placeholder_and_no_setting_is_left_in(build, overlay):
    """A replacement that misses its target would leave the name of a setting where its value belongs."""
    names = set(settings())

    def strings(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                # A container's environment is named like the settings, on purpose.
                yield from () if key == "name" else strings(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from strings(inner)
        elif isinstance(value, str):
            yield value

    for item in build(overlay):
        assert item["metadata"]["name"] != "settings", "the settings themselves are not for the cluster"
        if item["kind"] != "ConfigMap":
            for text in strings(item):
                assert not names & {text, *text.split("/"), *text.split(":")}, (item["metadata"], text)


def _other(name: str, value: str, number: int) -> str:
    """Makes another value, which k8s/common.sh accepts."""
    if name.endswith("_RANGE"):
        return f"10.{number}.0.0/11"
    if name.endswith(("_WEIGHT", "_TRAFFIC")):
        return str(number)
    if name == "MODEL_BASE":
        return f"gs://new{number}x/models"
    return str(4100 + number) if value.isdigit() else f"new{number}x"


def test_every_setting_arrives_somewhere(kubectl, tmp_path):
    """With other values in settings.env, each is in what the overlays or the scripts make, and no old one is."""
    copy_of = tmp_path / "k8s"
    shutil.copytree(K8S, copy_of)
    old = settings()
    new = {name: _other(name, value, 10 + i) for i, (name, value) in enumerate(old.items())}
    new |= {name: f"new-{name[:4].lower()}@{new['PROJECT']}" for name in old if name.endswith("_ACCOUNT")}
    lines = (f"{name}={value}\n" for name, value in new.items())
    (copy_of / "settings" / "settings.env").write_text("".join(lines), encoding="utf-8")
    made = [kubectl("kustomize", str(copy_of / overlay)) for overlay in SERVING + OTHER_SERVING + PIPELINES]
    for script in (("node-pools.sh", "all"), ("accounts.sh", "--dataflow")):
        command = [str(copy_of / script[0]), "--dry-run", *script[1:]]
        made.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    text = "".join(made)
    assert {name: value for name, value in new.items() if value not in text} == {}
    assert old["PROJECT"] not in text
    assert old["PROFILE_OWNER"] not in text


def test_values_of_the_user_are_in_the_settings_only():
    for path in SOURCE.rglob("*"):
        if path.is_file() and not path.name.startswith(("settings.env", "configure.sh", "common.sh")):
            assert "my-project" not in path.read_text(encoding="utf-8"), path


@EVERY
def test_nothing_builds_before_it_is_configured(overlay, kubectl, unconfigured):
    with pytest.raises(AssertionError, match=r"settings\.env"):
        kubectl("kustomize", str(unconfigured / overlay))


@EVERY
def test_namespaces_are_explicit(build, overlay):
    cluster_wide = {"Namespace", "Profile", "ResourceFlavor", "ClusterQueue", "ClusterStorageContainer"}
    for item in build(overlay):
        assert ("namespace" in item["metadata"]) == (item["kind"] not in cluster_wide), item["metadata"]


def test_service_accounts_act_as_the_google_accounts_of_the_settings(build):
    values = settings()
    for overlay, account in (
        *((overlay, "SERVING_ACCOUNT") for overlay in SERVING + OTHER_SERVING),
        *((overlay, "PIPELINE_ACCOUNT") for overlay in PIPELINES[:2]),
    ):
        annotations = find(build(overlay), "ServiceAccount")["metadata"]["annotations"]
        assert annotations == {"iam.gke.io/gcp-service-account": values[account]}


def test_members_of_the_settings_are_the_service_accounts_that_are_made(build):
    """Workload Identity names namespace and account as text; a wrong one is refused only when a pod asks."""
    values = settings()
    for overlay, member in (
        ("serving/overlays/cpu", "SERVING_MEMBER"),
        ("pipelines/overlays/standalone", "PIPELINE_MEMBER"),
    ):
        metadata = find(build(overlay), "ServiceAccount")["metadata"]
        pool = f"{values['PROJECT']}.svc.id.goog"
        assert values[member] == f"serviceAccount:{pool}[{metadata['namespace']}/{metadata['name']}]"
