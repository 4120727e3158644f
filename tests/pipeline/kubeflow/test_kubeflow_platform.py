from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2

from pipeline.kubeflow.platform import platform_document
from pipeline.recipe.pools import PoolSection, make_pool

GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
SHM = [{"volumeName": "shm", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "1G"}]
NO_GPU_NODE = {"key": "cloud.google.com/gke-accelerator", "operator": "DoesNotExist"}


def metadata(task: str) -> dict:
    return {"labels": {"app.kubernetes.io/name": "yt8m", "app.kubernetes.io/component": task}}


def executors(document: dict) -> dict:
    made = document["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for settings in made.values():
        json_format.ParseDict(settings, kubernetes_executor_config_pb2.KubernetesExecutorConfig())
    return made


def test_whole_document() -> None:
    own = {
        "cheap": PoolSection(profile="t4", spot=True),
        "attic": PoolSection(profile="1080ti", labels={"gpu": "gtx1080ti", "zone": "a"}),
    }
    pools = {
        "Trainer-K4-H64": make_pool("cheap", own),
        "Trainer-K8-H64": make_pool("a100", own),
        "Trainer-K8-H96": make_pool("attic", own),
    }
    document = platform_document(["Baseline", *pools], pools, {"models": "/models"})
    mount = [{"constant": "models", "mountPath": "/models"}]
    assert executors(document) == {
        "Baseline_executor": {
            "podMetadata": metadata("Baseline"),
            # On premises nothing but the label says that a node has GPUs.
            "nodeAffinity": [
                {
                    "matchExpressions": [
                        NO_GPU_NODE,
                        {"key": "gpu", "operator": "NotIn", "values": ["gtx1080ti"]},
                    ]
                }
            ],
            "pvcMount": mount,
        },
        "Trainer-K4-H64_executor": {
            "podMetadata": metadata("Trainer-K4-H64"),
            "nodeSelector": {
                "labels": {
                    "cloud.google.com/gke-accelerator": "nvidia-tesla-t4",
                    "cloud.google.com/gke-spot": "true",
                }
            },
            "tolerations": [
                GPU_TAINT,
                {
                    "key": "cloud.google.com/gke-spot",
                    "operator": "Equal",
                    "value": "true",
                    "effect": "NoSchedule",
                },
            ],
            "emptyDirMounts": SHM,
            "pvcMount": mount,
        },
        "Trainer-K8-H64_executor": {
            "podMetadata": metadata("Trainer-K8-H64"),
            "nodeSelector": {"labels": {"cloud.google.com/gke-accelerator": "nvidia-tesla-a100"}},
            "tolerations": [GPU_TAINT],
            "nodeAffinity": [
                {
                    "matchExpressions": [
                        {"key": "cloud.google.com/gke-spot", "operator": "DoesNotExist"},
                        {"key": "cloud.google.com/gke-flex-start", "operator": "DoesNotExist"},
                    ]
                }
            ],
            "emptyDirMounts": SHM,
            "pvcMount": mount,
        },
        "Trainer-K8-H96_executor": {
            "podMetadata": metadata("Trainer-K8-H96"),
            "nodeSelector": {"labels": {"gpu": "gtx1080ti", "zone": "a"}},
            "tolerations": [GPU_TAINT],
            "emptyDirMounts": SHM,
            "pvcMount": mount,
        },
    }
    assert platform_document(["Baseline", *pools], pools, {"models": "/models"}) == document


def test_only_trainers_with_a_gpu_wait_in_the_queue() -> None:
    own = {"later": PoolSection(profile="a100", flex_start=True)}
    pools = {"Trainer-K4-H64": make_pool("later", own)}
    made = executors(platform_document(["Baseline", *pools], pools, {}, queue="yt8m"))
    queues = {
        name: settings["podMetadata"]["labels"].get("kueue.x-k8s.io/queue-name")
        for name, settings in made.items()
    }
    assert queues == {"Baseline_executor": None, "Trainer-K4-H64_executor": "yt8m"}
    trainer = made["Trainer-K4-H64_executor"]
    assert trainer["nodeSelector"]["labels"] == {
        "cloud.google.com/gke-accelerator": "nvidia-tesla-a100",
        "cloud.google.com/gke-flex-start": "true",
    }
    assert (trainer["tolerations"], trainer.get("nodeAffinity")) == ([GPU_TAINT], None)


def test_without_pools_and_volumes() -> None:
    assert executors(platform_document(["Trainer-K4-H64"], {}, {})) == {
        "Trainer-K4-H64_executor": {
            "podMetadata": metadata("Trainer-K4-H64"),
            "nodeAffinity": [{"matchExpressions": [NO_GPU_NODE]}],
        }
    }


def test_a_label_is_at_most_63_characters_and_ends_with_none_that_it_may_not() -> None:
    task = "a" * 62 + "-" + "b" * 10
    (settings,) = executors(platform_document([task], {}, {})).values()
    assert settings["podMetadata"]["labels"]["app.kubernetes.io/component"] == "a" * 62
