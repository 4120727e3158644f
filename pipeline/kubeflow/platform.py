"""Builds the second document of a compiled pipeline: the Kubernetes settings of the pods."""

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.kubeflow.sizing import SHM_GB
from pipeline.recipe.pools import Pool

_GKE_GPU_LABEL = "cloud.google.com/gke-accelerator"
_GKE_SPOT_LABEL = "cloud.google.com/gke-spot"
_GKE_FLEX_START_LABEL = "cloud.google.com/gke-flex-start"
_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


def platform_document(
    tasks: Iterable[str], pools: Mapping[str, Pool], volumes: Mapping[str, str], queue: str | None = None
) -> dict[str, Any]:
    """Returns the platform document of a pipeline.

    Args:
        tasks: The names of all tasks; a task's executor is called `<task>_executor`, as TFX names it.
        pools: The GPU pool of each task that runs on one. The other tasks never run on a GPU node, whether it is
            tainted or not.
        volumes: The path at which every task mounts a volume, by the name of its claim.
        queue: The Kueue LocalQueue in which the tasks with a GPU wait; None for no queue.
    """
    used = {pool.name: pool for pool in pools.values()}
    executors = {
        f"{task}_executor": {
            "podMetadata": {
                "labels": {
                    "app.kubernetes.io/name": "yt8m",
                    "app.kubernetes.io/component": task[:63].rstrip("-"),
                    **({_QUEUE_LABEL: queue} if queue and task in pools else {}),
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
    elif pool.flex_start:
        labels[_GKE_FLEX_START_LABEL] = "true"
    elif pool.profile.spot:
        settings["nodeAffinity"] = _required(
            [{"key": key, "operator": "DoesNotExist"} for key in (_GKE_SPOT_LABEL, _GKE_FLEX_START_LABEL)]
        )
    settings["emptyDirMounts"] = [
        {"volumeName": "shm", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": f"{SHM_GB}G"}
    ]
    return settings


def _cpu_settings(pools: Iterable[Pool]) -> dict[str, Any]:
    """Keeps a task off GPU nodes: GKE labels them all; elsewhere the first label of a pool marks its nodes."""
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
    """Returns one node affinity term without a weight: every expression must hold."""
    return [{"matchExpressions": expressions}]


def _mounts(volumes: Mapping[str, str]) -> dict[str, Any]:
    if not volumes:
        return {}
    return {"pvcMount": [{"constant": claim, "mountPath": path} for claim, path in sorted(volumes.items())]}
