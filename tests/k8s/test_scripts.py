"""node-pools.sh and accounts.sh say and do the same as the Config Connector objects beside them."""

import os
import shlex
import shutil
import subprocess

import pytest

from tests.k8s.overlays import K8S, find, settings

GPUS = ("t4", "p100", "v100", "l4", "a100")


def run(script, *arguments, **environment):
    return subprocess.run(
        [str(K8S / script), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def commands(script, *arguments):
    done = run(script, *arguments, "--dry-run", PATH="/usr/bin:/bin")
    assert (done.returncode, done.stderr) == (0, "")
    return [shlex.split(line) for line in done.stdout.splitlines()]


def flags(command):
    return dict(word.removeprefix("--").partition("=")[::2] for word in command if word.startswith("--"))


def pools(*arguments):
    """Flags of each pool, by name."""
    made = commands("node-pools.sh", *arguments)
    assert all(command[:4] == ["gcloud", "container", "node-pools", "create"] for command in made)
    return {command[4]: flags(command) for command in made}


def test_the_script_and_the_objects_make_the_same_pools(build):
    values = settings()
    from_script, objects = pools("all"), build("pipelines/config-connector")
    from_objects = {
        item["metadata"]["name"]: item["spec"] for item in objects if item["kind"] == "ContainerNodePool"
    }
    assert from_script.keys() == from_objects.keys() == {"cpu", "serving", *(f"{gpu}-spot" for gpu in GPUS)}
    for name, spec in from_objects.items():
        node, scaling, given = spec["nodeConfig"], spec["autoscaling"], from_script[name]
        (label,) = node["labels"].items()
        expected = {
            "project": values["PROJECT"],
            "location": spec["location"],
            "cluster": spec["clusterRef"]["external"].split("/")[-1],
            "machine-type": node["machineType"],
            "num-nodes": str(spec["initialNodeCount"]),
            "enable-autoscaling": "",
            "total-min-nodes": str(scaling["totalMinNodeCount"]),
            "total-max-nodes": str(scaling["totalMaxNodeCount"]),
            "location-policy": scaling["locationPolicy"],
            "image-type": node["imageType"],
            "disk-type": node["diskType"],
            "disk-size": str(node["diskSizeGb"]),
            "enable-autorepair": "",
            "enable-autoupgrade": "",
            "service-account": values["NODE_ACCOUNT"],
            "workload-metadata": node["workloadMetadataConfig"]["mode"],
            "node-labels": "=".join(label),
        }
        if "guestAccelerator" in node:
            (gpu,), (taint,) = node["guestAccelerator"], node["taint"]
            driver = gpu["gpuDriverInstallationConfig"]["gpuDriverVersion"].lower()
            assert (taint["effect"], node["spot"]) == ("NO_SCHEDULE", True)
            expected |= {
                "accelerator": f"type={gpu['type']},count={gpu['count']},gpu-driver-version={driver}",
                "node-taints": f"{taint['key']}={taint['value']}:NoSchedule",
                "spot": "",
            }
        assert given == expected
        assert ("nvidia" in str(node)) == name.endswith("-spot"), "CPU steps never land on GPU pools"


def test_on_demand_pools_and_zones():
    (name, given), *more = pools("--on-demand", "--zones=a,b", "l4").items()
    assert not more
    assert (name, given["node-labels"], given["node-locations"]) == ("l4", "yt8m-pool=l4", "a,b")
    assert "spot" not in given


def test_flex_start_pools():
    ((name, given),) = pools("--flex-start", "a100").items()
    assert (name, given["node-labels"]) == ("a100-flex", "yt8m-pool=a100-flex")
    assert given.keys() >= {"flex-start", "no-enable-autorepair"}
    assert (given["reservation-affinity"], given["num-nodes"], given["location-policy"]) == (
        "none",
        "0",
        "ANY",
    )
    assert not given.keys() & {"spot", "enable-autorepair"}


def test_scripts_refuse_before_they_are_configured(unconfigured):
    for script in ("node-pools.sh", "accounts.sh"):
        done = subprocess.run(
            [unconfigured / script, "--dry-run", "t4"], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"{script}: k8s/settings/settings.env is missing: k8s/configure.sh PROJECT writes it\n"
        )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "which project?"),
        (("my-project",), "give your own"),
        (("No Project",), "PROJECT must be a project id"),
        (("vision-prod", "LOCATOIN=x"), "no setting 'LOCATOIN=x'. Settings: PROJECT LOCATION"),
        (("vision-prod", "LOCATION"), "no setting 'LOCATION'"),
        (("vision-prod", "L.CATION=x"), "no setting 'L.CATION=x'"),
        (("vision-prod", "PROJECT LOCATION=x"), "no setting 'PROJECT LOCATION=x'"),
        (("vision-prod", "LOCATION=a", "LOCATION=b"), "LOCATION is given twice"),
        (("vision-prod", "PROJECT=another"), "PROJECT is given twice"),
        (("vision-prod", "LOCATION="), "LOCATION must be letters, digits and"),
        (("vision-prod", "LOCATION=$(touch pwned)"), "LOCATION must be letters, digits and"),
        (("vision-prod", "LOCATION=a\nCLUSTER=b"), "LOCATION must be letters, digits and"),
        (("vision-prod", "STABLE_VERSION=abc"), "STABLE_VERSION must be the number of a version"),
        (("vision-prod", "CANARY_WEIGHT=101"), "CANARY_WEIGHT must be a share in percent"),
        (("vision-prod", "T4_GPUS=-1"), "T4_GPUS must be a number of GPUs"),
        (("vision-prod", "BUCKET=gs://x"), "BUCKET must be a bucket's name"),
        (("vision-prod", "MODEL_BASE=models/yt8m"), "MODEL_BASE must be a directory in a bucket"),
        (("vision-prod", "CLIENT_RANGE=everybody"), "CLIENT_RANGE must be a range of addresses"),
    ],
)
def test_configure_refuses(unconfigured, arguments, reason):
    done = subprocess.run(
        [unconfigured / "configure.sh", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert reason in done.stderr
    assert not (unconfigured / "settings" / "settings.env").exists()


@pytest.mark.parametrize(
    ("line", "new", "reason"),
    [
        ("PROJECT=test-project", "", "has no PROJECT"),
        ("BUCKET=test-project-yt8m", "BUCKET=", "line 34: BUCKET must be a bucket's name"),
        ("CLUSTER=yt8m", 'CLUSTER="yt8m"', "line 6: CLUSTER must be letters, digits and"),
        ("CLUSTER=yt8m", "CLUSTER=$(touch pwned)", "line 6: CLUSTER must be letters, digits and"),
        ("CLUSTER=yt8m", "cluster (", "line 6: NAME=VALUE is wanted, not 'cluster ('"),
        ("CLUSTER=yt8m", "CLUSTER=my-project", "still names my-project"),
    ],
)
def test_settings_that_are_no_settings_run_nothing(tmp_path, line, new, reason):
    copy = tmp_path / "k8s"
    shutil.copytree(K8S, copy)
    file = copy / "settings" / "settings.env"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace(f"{line}\n", f"{new}\n"), encoding="utf-8")
    assert file.read_text(encoding="utf-8") != before
    for script in ("node-pools.sh", "accounts.sh"):
        done = subprocess.run(
            [copy / script, "--dry-run"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"{script}: k8s/settings/settings.env")
        assert reason in done.stderr
    assert not list(tmp_path.rglob("pwned"))


def test_configure_writes_the_settings_once(tmp_path, unconfigured):
    copy = tmp_path / "k8s"
    shutil.copytree(unconfigured, copy)
    command = [copy / "configure.sh", "vision-prod", "CLIENT_RANGE=10.1.0.0/16"]
    subprocess.run(command, check=True, capture_output=True)
    written = (copy / "settings" / "settings.env").read_text(encoding="utf-8")
    assert "MODEL_BASE=gs://vision-prod-yt8m/models/yt8m\n" in written
    assert "CLIENT_RANGE=10.1.0.0/16\n" in written
    assert "my-project" not in written
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr[:43]) == (2, "configure.sh: k8s/settings/settings.env exi")


@pytest.mark.parametrize("arguments", [("k80",), ("--nonsense", "t4"), ()])
def test_wrong_arguments_run_nothing(arguments):
    done = run("node-pools.sh", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "t4 p100 v100 l4 a100" in done.stderr


def test_help_is_the_text_at_the_top():
    for script, usage in (
        ("node-pools.sh", "k8s/node-pools.sh --dry-run"),
        ("accounts.sh", "k8s/accounts.sh --dry-run"),
        ("configure.sh", "k8s/configure.sh PROJECT"),
    ):
        # By a relative path, as the README calls them.
        done = subprocess.run(
            [f"k8s/{script}", "--help"], cwd=K8S.parent, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert usage in done.stdout
        assert "set -" not in done.stdout


def test_two_kinds_of_nodes_are_refused():
    done = run("node-pools.sh", "--dry-run", "--flex-start", "--on-demand", "t4")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "node-pools.sh: --flex-start and --on-demand: give one of them\n"


def test_a_pool_that_exists_is_left_alone(tmp_path):
    log = tmp_path / "log"
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(
        f'#!/bin/sh\necho "$3 $4" >>"{log}"\n[ "$3 $4" != "describe t4-spot" ] && [ "$3" = describe ] && exit 1\n'
        "exit 0\n",
        encoding="utf-8",
    )
    gcloud.chmod(0o755)
    done = run("node-pools.sh", "t4", "l4", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 0, done.stderr
    assert "# t4-spot exists" in done.stdout
    assert log.read_text(encoding="utf-8").split("\n") == [
        "describe t4-spot",
        "describe l4-spot",
        "create l4-spot",
        "",
    ]


@pytest.mark.parametrize("dataflow", [False, True])
def test_the_script_and_the_objects_give_the_same_roles(build, dataflow):
    values = settings()
    objects = build("pipelines/config-connector-dataflow" if dataflow else "pipelines/config-connector")

    def email(name):
        identity = find(objects, "IAMServiceAccount", name)["spec"]["resourceID"]
        return f"{identity}@{values['PROJECT']}.iam.gserviceaccount.com"

    from_objects = set()
    for item in objects:
        if item["kind"] == "IAMPolicyMember":
            spec, target = item["spec"], item["spec"]["resourceRef"]
            member = (
                spec.get("member")
                or f"serviceAccount:{email(spec['memberFrom']['serviceAccountRef']['name'])}"
            )
            on = email(target["name"]) if "name" in target else target["external"].split("/")[-1]
            from_objects.add((on, member, spec["role"]))

    from_script = set()
    for command in commands("accounts.sh", *(["--dataflow"] if dataflow else [])):
        if "create" in command:
            identity = command[command.index("create") + 1]
            assert f"{identity}@{values['PROJECT']}.iam.gserviceaccount.com" in values.values()
        else:
            on = command[command.index("add-iam-policy-binding") + 1].removeprefix("gs://")
            from_script.add((on, flags(command)["member"], flags(command)["role"]))
    assert from_script == from_objects
    roles = {role for _, _, role in from_objects}
    assert len(from_objects) == (9 if dataflow else 6)
    assert not roles & {"roles/owner", "roles/editor", "roles/storage.admin", "roles/storage.objectAdmin"}
