"""Where the overlays are, and how to find an object in what they build."""

from pathlib import Path
from typing import Any

Object = dict[str, Any]
"""One Kubernetes object."""

K8S = Path(__file__).parents[2] / "k8s"

SERVING = tuple(f"serving/overlays/{name}" for name in ("cpu", "gpu", "canary-1", "canary-2", "loadbalancer"))

PIPELINES = (
    "pipelines/overlays/standalone",
    "pipelines/overlays/multi-user",
    "pipelines/config-connector",
    "pipelines/config-connector-dataflow",
)


def find(objects: list[Object], kind: str, name: str | None = None) -> Object:
    """The only object of a kind (and a name)."""
    (found,) = (item for item in objects if item["kind"] == kind and name in (None, item["metadata"]["name"]))
    return found


def container(objects: list[Object]) -> Object:
    """The model server's container."""
    (found,) = find(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    return found


def settings() -> dict[str, str]:
    """The values of settings.env."""
    lines = (K8S / "settings" / "settings.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
