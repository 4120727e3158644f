"""Overlays as kubectl builds them."""

import functools
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.k8s.overlays import K8S, SOURCE, Object

OLDEST_KUBECTL = 27
"""1.27 brought kustomize 5."""


def _why_not() -> str | None:
    if shutil.which("kubectl") is None:
        return "kubectl is not installed (the Google Cloud CLI has it, and Debian 13's kubernetes-client)"
    command = ["kubectl", "version", "--client", "--output", "json"]
    version = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["clientVersion"]
    if int("".join(filter(str.isdigit, version["minor"]))) < OLDEST_KUBECTL:
        return f"kubectl {version['gitVersion']} has an old kustomize: 1.{OLDEST_KUBECTL} or newer is needed"
    return None


def _kubectl(*arguments: str) -> str:
    done = subprocess.run(["kubectl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, f"kubectl warns: {done.stderr}"
    return done.stdout


@functools.cache
def _build(directory: Path) -> list[Object]:
    return list(yaml.safe_load_all(_kubectl("kustomize", str(directory))))


@pytest.fixture(scope="session")
def kubectl() -> Callable[..., str]:
    """Runs kubectl with some arguments; returns what it prints."""
    if reason := _why_not():
        pytest.skip(reason)
    return _kubectl


@pytest.fixture(scope="session")
def build(kubectl: Callable[..., str]) -> Callable[[str], list[Object]]:
    """Builds an overlay, given relative to k8s/, to its objects."""
    return lambda overlay: _build(K8S / overlay)


@pytest.fixture(scope="session")
def unconfigured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """k8s/ as it is in a fresh clone."""
    copy = tmp_path_factory.mktemp("fresh") / "k8s"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("settings.env"))
    return copy
