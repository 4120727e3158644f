"""A compiled file, read as strictly as the backend's API server reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.package import Package, read_package

Tree = dict[str, Any]


@dataclass(frozen=True)
class CompiledFile:
    """The two documents as the backend's messages.

    Attributes:
        package: The file.
        spec: PipelineSpec.
        executors: Its deploymentSpec's, by label.
        volumes: By label of an executor, where its pod sees volumes: path to the volume's claim.
    """

    package: Package
    spec: pipeline_spec_pb2.PipelineSpec
    executors: Mapping[str, pipeline_spec_pb2.PipelineDeploymentConfig.ExecutorSpec]
    volumes: Mapping[str, Mapping[str, str]]

    @property
    def mounts(self) -> dict[str, str]:
        """Where any pod sees volumes: path to the volume's claim."""
        return {path: claim for mounts in self.volumes.values() for path, claim in mounts.items()}

    @classmethod
    def read(cls, path: str) -> "CompiledFile":
        """Reads and checks what `yt8m compile` wrote.

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
