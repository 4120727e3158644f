"""What the tests of the verbs that ask a cluster share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pipeline import compiled_file
from tests.pipeline.fake_kubeflow import FakeKubeflow, fake_kubeflow


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubeflow]:
    """A cluster that has nothing yet; the user's own settings are out of sight, and questions are repeated at once."""
    from kfp.client import Client

    from pipeline.kubeflow import api_client

    monkeypatch.setattr(Client, "_LOCAL_KFP_CONTEXT", str(tmp_path / "kfp/context.json"))
    monkeypatch.setattr(api_client, "_RETRY_BACKOFF_SECONDS", 0)
    for name in ("ENDPOINT", "UI_ENDPOINT", "IAP_OAUTH2_CLIENT_ID"):
        monkeypatch.delenv(f"KF_PIPELINES_{name}", raising=False)
    with fake_kubeflow() as server:
        yield server


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
