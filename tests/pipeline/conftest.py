"""What the tests of whole runs share, and those of the verbs that ask a cluster."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.pipeline import compiled_file
from tests.pipeline.fake_kubeflow import FakeKubeflow, fake_kubeflow
from tests.pipeline.tiny_recipe import tiny_recipe


@pytest.fixture(scope="session")
def local_place(tmp_path_factory: pytest.TempPathFactory, tiny_sample: Path) -> Path:
    """A directory with the recipe of `local_run`."""
    directory = tmp_path_factory.mktemp("run")
    shutil.copytree(tiny_sample, directory / "data/span-1")
    recipe = tiny_recipe(directory / "data/span-{SPAN}", "served/yt8m")
    (directory / "tiny.yaml").write_text(yaml.safe_dump(recipe))
    return directory


@pytest.fixture(scope="session")
def local_run(local_place: Path) -> subprocess.CompletedProcess[str]:
    """A first run, as a user starts it, for all tests of whole runs."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", "run", "--recipe", "tiny.yaml", "--json"],
        cwd=local_place,
        capture_output=True,
        text=True,
        check=False,
        timeout=450,
    )


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubeflow]:
    """A cluster that has nothing yet; the user's own settings are out of sight, and questions are repeated at once."""
    from kfp.client import Client

    from pipeline.kubeflow.cluster import api_client

    monkeypatch.setattr(Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "kfp/context.json"))
    monkeypatch.setattr(api_client, "_RETRY_BACKOFF_SECONDS", 0)
    for name in ("ENDPOINT", "UI_ENDPOINT", "IAP_OAUTH2_CLIENT_ID"):
        monkeypatch.delenv(f"KF_PIPELINES_{name}", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with fake_kubeflow() as server:
        yield server


@pytest.fixture
def kubectl_context(cluster: FakeKubeflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kubectl's current context is the cluster's, whose Kubernetes API the same server plays."""
    context = {"name": "ours", "context": {"cluster": "ours", "user": "me"}}
    config = {
        "current-context": "ours",
        "contexts": [context],
        "clusters": [{"name": "ours", "cluster": {"server": cluster.url}}],
        "users": [{"name": "me", "user": {}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A compiled pipeline named `tiny`."""
    return compiled_file.write(tmp_path / "tiny.yaml")


@pytest.fixture
def yt8m(cluster: FakeKubeflow, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a verb against the cluster in this process, and returns its standard output."""
    from pipeline.cli.main import app

    def run(verb: str, *arguments: object) -> str:
        capsys.readouterr()
        app(args=[verb, *map(str, arguments), "--host", cluster.url], standalone_mode=False)
        return capsys.readouterr().out

    return run
