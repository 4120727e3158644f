"""Where the overlays are, and how to find an object in what they build."""

import atexit
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

Object = dict[str, Any]
"""One Kubernetes object."""

SOURCE = Path(__file__).parents[2] / "k8s"


def _configured() -> Path:
    """Copies k8s/ and configures the copy, as somebody does who uses it for the first time."""
    directory = tempfile.mkdtemp(prefix="yt8m-k8s-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    copy = Path(directory) / "k8s"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("settings.env"))
    subprocess.run([copy / "configure.sh", "test-project"], check=True, capture_output=True)
    return copy


K8S = _configured()
"""A configured copy of k8s/: without settings.env nothing can be built."""

SERVING = tuple(f"serving/overlays/{name}" for name in ("cpu", "gpu", "canary-1", "canary-2", "loadbalancer"))
"""The overlays of one Deployment of TensorFlow Serving."""

OTHER_SERVING = ("serving/overlays/gateway", "serving/overlays/kserve")

PIPELINES = (
    "pipelines/overlays/standalone",
    "pipelines/overlays/multi-user",
    "pipelines/config-connector",
    "pipelines/config-connector-dataflow",
    "pipelines/queue/standalone",
    "pipelines/queue/multi-user",
)


def find(objects: list[Object], kind: str, name: str | None = None) -> Object:
    """The only object of a kind (and a name)."""
    (found,) = (item for item in objects if item["kind"] == kind and name in (None, item["metadata"]["name"]))
    return found


def container(objects: list[Object]) -> Object:
    """The model server's container."""
    (found,) = find(objects, "Deployment", "yt8m-serving")["spec"]["template"]["spec"]["containers"]
    return found


def settings() -> dict[str, str]:
    """The values of settings.env."""
    lines = (K8S / "settings" / "settings.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
