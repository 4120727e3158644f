import subprocess
import sys

import pytest

from pipeline.cli.cluster.compile import with_mounted_paths
from pipeline.cli.main import app
from pipeline.kubeflow.checks import check_places
from pipeline.recipe.loader import load_recipe
from trainer.base.errors import UserError

GOOD = {
    "--recipe": "yhls",
    "--image": "registry/yt8m:1.0",
    "--pipeline-root": "gs://bucket/root",
    "--data": "gs://data/*.tfrecord",
}
PLACES = ["--set", "kubernetes.volumes.models=/models", "--set", "push.directory=/models/yt8m"]


def arguments(out: object, *more: str, **changes: str) -> list[str]:
    options = {**GOOD, **{f"--{key.replace('_', '-')}": value for key, value in changes.items()}}
    return ["compile", *(part for option in options.items() for part in option), "--out", str(out), *more]


@pytest.mark.parametrize(
    ("name", "changes", "more", "reason"),
    [
        ("p.yaml", {}, (), "push.directory: models/yhls/yt8m is a path that a pod does not have"),
        ("p.yaml", {"pipeline_root": "/root"}, PLACES, "--pipeline-root: '/root' is no place in a bucket"),
        ("p.yaml", {"image": "yt8m"}, PLACES, "--image must be the address of an image with its tag"),
        ("p.yaml", {}, (*PLACES, "--set", "kubernetes.trainer_pool=k80"), "have compute capability 3.7"),
        ("p.yaml", {"train": "gs://bkt/t"}, PLACES, "--data is for files that are split here"),
        ("p.json", {}, PLACES, "--out must end in .yaml"),
        ("no/p.yaml", {}, PLACES, "there is no such directory"),
    ],
)
def test_refusals(tmp_path, name, changes, more, reason) -> None:
    with pytest.raises(UserError) as caught:
        app(args=arguments(tmp_path / name, *more, **changes), standalone_mode=False)
    assert reason in str(caught.value)
    assert not (tmp_path / name).exists()


def test_relative_paths_count_from_a_directory_that_pods_see_too(tmp_path, monkeypatch) -> None:
    recipe = load_recipe("demo", [f"kubernetes.volumes.here={tmp_path}", "data.vocabulary=names.csv"])
    monkeypatch.chdir(tmp_path)
    mounted = with_mounted_paths(recipe)
    assert mounted.data.train == (f"{tmp_path}/data/demo/train*.tfrecord",)
    assert mounted.data.vocabulary == f"{tmp_path}/names.csv"
    assert mounted.push.directory == f"{tmp_path}/models/demo/yt8m"
    check_places(mounted, "registry/yt8m:1.0", "gs://bucket/root")
    monkeypatch.chdir("/")
    assert with_mounted_paths(recipe) == recipe


def test_a_refusal_is_one_line_and_waits_for_no_tfx(tmp_path) -> None:
    code = (
        "import sys; from pipeline.cli import main; sys.argv[0] = 'yt8m'\n"
        "try: main.main()\n"
        "finally: print(any(name in sys.modules for name in ('tfx', 'tensorflow', 'kfp')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments(tmp_path / "p.yaml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "False\n"), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("yt8m: push.directory: ")
