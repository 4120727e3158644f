"""Reads a compiled file as strictly as the backend's API server does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.package import Package, read_package

Tree = dict[str, Any]


@dataclass(frozen=True)
class CompiledFile:
    """The two documents of a compiled file as the backend's messages.

    Attributes:
        package: The file as it was read.
        spec: The PipelineSpec.
        executors: The executors of its deploymentSpec, by label.
        volumes: The claim of each volume, by the path at which a pod sees it, by the label of the executor.
    """

    package: Package
    spec: pipeline_spec_pb2.PipelineSpec
    executors: Mapping[str, pipeline_spec_pb2.PipelineDeploymentConfig.ExecutorSpec]
    volumes: Mapping[str, Mapping[str, str]]

    @property
    def mounts(self) -> dict[str, str]:
        """The claim of each volume of any pod, by the path at which the pod sees it."""
        return {path: claim for mounts in self.volumes.values() for path, claim in mounts.items()}

    @classmethod
    def read(cls, path: str) -> "CompiledFile":
        """Reads and checks the file that `yt8m compile` wrote.

        Raises:
            UserError: If it is no such file, or the backend would refuse it.
        """
        package = read_package(path)
        deployment = json_format.ParseDict(
            package.spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig()
        )
        return cls(
            package,
            json_format.ParseDict(package.spec, pipeline_spec_pb2.PipelineSpec()),
            deployment.executors,
            _volumes(package.platform),
        )


def _volumes(platform: Tree) -> dict[str, dict[str, str]]:
    executors = (
        platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    )
    return {
        label: {mount["mountPath"]: mount.get("constant", "") for mount in settings.get("pvcMount", ())}
        for label, settings in executors.items()
    }
