"""The second document: what only Kubernetes understands of where the steps run."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.kubeflow.sizing import SHM_GB
from pipeline.recipe.pools import Pool

_GKE_GPU_LABEL = "cloud.google.com/gke-accelerator"
_GKE_SPOT_LABEL = "cloud.google.com/gke-spot"


def platform_document(
    tasks: Iterable[str], pools: Mapping[str, Pool], volumes: Mapping[str, str]
) -> dict[str, Any]:
    """The platform document of a pipeline.

    Args:
        tasks: All of them; a task's executor is `<task>_executor`, as TFX names it.
        pools: GPU pool of the tasks that go to one. The others never land on a GPU node, whether it is tainted
            or not.
        volumes: Claim: where every task sees it.
    """
    used = {pool.name: pool for pool in pools.values()}
    executors = {
        f"{task}_executor": {
            "podMetadata": {
                "labels": {
                    "app.kubernetes.io/name": "yt8m",
                    "app.kubernetes.io/component": task[:63].rstrip("-"),
                }
            },
            **(_gpu_settings(pools[task]) if task in pools else _cpu_settings(used.values())),
            **_mounts(volumes),
        }
        for task in tasks
    }
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def _gpu_settings(pool: Pool) -> dict[str, Any]:
    labels = dict(pool.profile.labels)
    tolerations = [taint.model_dump(exclude_none=True) for taint in pool.profile.tolerations]
    settings: dict[str, Any] = {"nodeSelector": {"labels": labels}, "tolerations": tolerations}
    if pool.spot:
        labels[_GKE_SPOT_LABEL] = "true"
        tolerations.append(
            {"key": _GKE_SPOT_LABEL, "operator": "Equal", "value": "true", "effect": "NoSchedule"}
        )
    elif pool.profile.spot:
        settings["nodeAffinity"] = _required([{"key": _GKE_SPOT_LABEL, "operator": "DoesNotExist"}])
    settings["emptyDirMounts"] = [
        {"volumeName": "shm", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": f"{SHM_GB}G"}
    ]
    return settings


def _cpu_settings(pools: Iterable[Pool]) -> dict[str, Any]:
    """GKE labels every GPU node; what else marks one is the first label of a pool."""
    own = sorted(
        {
            next(iter(pool.profile.labels.items()))
            for pool in pools
            if _GKE_GPU_LABEL not in pool.profile.labels
        }
    )
    return {
        "nodeAffinity": _required(
            [
                {"key": _GKE_GPU_LABEL, "operator": "DoesNotExist"},
                *({"key": key, "operator": "NotIn", "values": [value]} for key, value in own),
            ]
        )
    }


def _required(expressions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One term without a weight: every expression must hold."""
    return [{"matchExpressions": expressions}]


def _mounts(volumes: Mapping[str, str]) -> dict[str, Any]:
    if not volumes:
        return {}
    return {"pvcMount": [{"constant": claim, "mountPath": path} for claim, path in sorted(volumes.items())]}
