"""A small file as `yt8m compile` writes it, without the half minute that TFX takes."""

from pathlib import Path
from typing import Any

import yaml


def documents(name: str = "tiny") -> tuple[dict[str, Any], dict[str, Any]]:
    """Both documents: one task that runs a container, and three parameters."""
    task, component = "Pusher", {"executorLabel": "Pusher_executor"}
    spec = {
        "pipelineInfo": {"name": name},
        "schemaVersion": "2.1.0",
        "sdkVersion": "tfx-1.16.0",
        "defaultPipelineRoot": "gs://bucket/root",
        "components": {task: component},
        "deploymentSpec": {
            "executors": {
                "Pusher_executor": {"container": {"image": "i:1", "command": ["python"], "args": ["{{$}}"]}}
            }
        },
        "root": {
            "dag": {"tasks": {task: {"componentRef": {"name": task}, "taskInfo": {"name": task}}}},
            "inputDefinitions": {
                "parameters": {
                    "limit_bytes": {"parameterType": "NUMBER_INTEGER", "defaultValue": 1073741824},
                    "max_reject_share": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.01},
                    "push_destination": {"parameterType": "STRING", "defaultValue": "/models/yt8m"},
                }
            },
        },
    }
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"Pusher_executor": {}}}}}}
    return spec, platform


def write(path: Path, *trees: dict[str, Any]) -> Path:
    """Writes documents, or the two of `documents`, to a file."""
    path.write_text(yaml.safe_dump_all(trees or documents()))
    return path
