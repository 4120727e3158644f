"""Every verb refuses an address or a name that cannot be, before anything starts, by the same rules."""

import pytest

from pipeline.cli.main import app
from pipeline.recipe.loader import load_recipe
from trainer.base.errors import UserError

BAD = "gs://My_Bucket!/x"
RULE = "a bucket's name has lower-case letters"
COMPILE = ["compile", "--recipe", "yhls", "--image", "registry/yt8m:1.0", "--out", "p.yaml"]
PLACES = ["--data", "gs://data/*.tfrecord", "--set", "push.directory=gs://bucket/models"]
ROOT = ["--pipeline-root", "gs://bucket/root"]


@pytest.mark.parametrize(
    "arguments",
    [
        [*COMPILE, *PLACES, "--pipeline-root", BAD],
        [*COMPILE, *PLACES[:2], *ROOT, "--set", f"push.directory={BAD}"],
        [*COMPILE, *PLACES, *ROOT, "--set", f"data.vocabulary={BAD}"],
        [*COMPILE, *PLACES, *ROOT, "--data", BAD],
        ["run", "--recipe", "demo", "--train", BAD],
        ["run", "--recipe", "demo", "--set", f"push.directory={BAD}"],
        ["data", "check", BAD],
        ["data", "sample", BAD],
        ["evaluate", "--model", "models", "--data", BAD],
        ["infer", "--model", "models", "--data", BAD, "--out", "o.csv"],
        ["infer", "--model", "models", "--data", "x", "--out", f"{BAD}.csv"],
        ["predict", BAD],
        ["serve", BAD],
        ["models", "list", BAD],
        ["models", "rollback", BAD, "--to", "1"],
        ["models", "label", BAD, "a=1"],
        ["submit", "FILE", "--host", "http://x", "--pipeline-root", BAD],
        ["submit", "FILE", "--host", "http://x", "--param", f"push_destination={BAD}"],
        ["schedule", "FILE", "--host", "http://x", "--cron", "0 3 * * 1", "--pipeline-root", BAD],
        [
            "schedule",
            "FILE",
            "--host",
            "http://x",
            "--cron",
            "0 3 * * 1",
            "--param",
            f"push_destination={BAD}",
        ],
        ["rehearse", "FILE", "--root", "r", "--set", f"push_destination={BAD}"],
    ],
    ids=lambda arguments: " ".join(arguments[:1] + [one for one in arguments if BAD in one]),
)
def test_an_address_that_cannot_be_is_refused(arguments, file, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=RULE):
        app(args=[str(file) if one == "FILE" else one for one in arguments], standalone_mode=False)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize("scheme", ["s3://bucket", "https://host"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "--model", "ELSEWHERE", "--data", "FILE"],
        ["infer", "--model", "ELSEWHERE", "--data", "FILE", "--out", "o.csv"],
        ["monitor", "--model", "ELSEWHERE", "--data", "FILE"],
        ["compress", "ELSEWHERE", "--to", "int8"],
        ["export", "--litert", "ELSEWHERE", "--out", "m.tflite", "--unchecked"],
        ["distill", "--teacher", "ELSEWHERE", "--variant", "K8-H64", "--recipe", "demo", "--data", "FILE"],
        ["import-checkpoint", "ELSEWHERE", "--variant", "K8-H64", "--out", "made"],
        ["report", "ELSEWHERE.json"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_nothing_here_reads_is_refused(arguments, scheme, file, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"{scheme.split(':')[0]}:// is not supported; give a local path"):
        app(
            args=[one.replace("FILE", str(file)).replace("ELSEWHERE", f"{scheme}/yt8m") for one in arguments],
            standalone_mode=False,
        )
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--recipe", "demo", "--root", "gs://bucket/runs"],
        ["report", "runs/demo", "--out", "gs://bucket/report.html"],
        ["rehearse", "FILE", "--root", "gs://bucket/runs"],
        ["import-checkpoint", "x", "--variant", "K8-H256", "--out", "gs://bucket/model"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_stays_on_this_machine_is_no_bucket(arguments, file, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="on this machine"):
        app(args=[str(file) if one == "FILE" else one for one in arguments], standalone_mode=False)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["submit", "FILE", "--service-account", "Bad Name!"], "--service-account: a name in Kubernetes"),
        (
            ["schedule", "FILE", "--cron", "0 3 * * 1", "--service-account", "Bad Name!"],
            "--service-account: a name in Kubernetes",
        ),
        (["submit", "FILE", "--namespace", "Team A"], "--namespace: a namespace's name"),
        (["schedule", "--list", "--namespace", "Team A"], "--namespace: a namespace's name"),
        (["runs", "--namespace", "Team A"], "--namespace: a namespace's name"),
    ],
)
def test_a_name_that_cannot_be_is_refused(cluster, yt8m, file, arguments, reason) -> None:
    with pytest.raises(UserError, match=f"{reason}.*Received: '(Bad Name!|Team A)'"):
        yt8m(*(file if one == "FILE" else one for one in arguments))
    assert cluster.requests == []


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ("push.directory=s3://bucket/models", "push.directory: s3:// is not supported"),
        ("push.directory=gs://b/models", "push.directory: a bucket's name has 3 to 63 characters"),
        ("kubernetes.volumes.Bad_Claim=/models", "volumes.Bad_Claim.*: a name in Kubernetes"),
        ("kubernetes.volumes.models=/mod:els", "a mounted path has no colon"),
        ("kubernetes.pools.lab={profile: t4, labels: {gpu: bad value}}", "a label's value"),
        ("kubernetes.pools.lab={profile: t4, labels: {bad key: x}}", "a label's key"),
        ("kubernetes.pools.lab={profile: t4, tolerations: [{key: bad key}]}", "a label's key"),
    ],
)
def test_a_recipes_address_or_name_that_cannot_be_is_refused(override, reason) -> None:
    with pytest.raises(UserError, match=reason):
        load_recipe("demo", [override])


def test_a_compiled_file_with_an_address_that_cannot_be_is_refused(file) -> None:
    file.write_text(file.read_text().replace("/models/yt8m", "gs://b/models"))
    with pytest.raises(
        UserError, match=r"push_destination: 'gs://b/models' is no address: .* 3 to 63 characters"
    ):
        app(args=["submit", str(file), "--host", "http://x"], standalone_mode=False)
