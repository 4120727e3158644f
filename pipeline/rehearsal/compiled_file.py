"""A compiled file, read as strictly as the backend's API server reads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.checks import check_spec
from trainer.errors import UserError

Tree = dict[str, Any]

_SECTIONS = ("pipelineInfo", "components", "deploymentSpec", "root")


@dataclass(frozen=True)
class CompiledFile:
    """The two documents as the backend's messages.

    Attributes:
        spec: PipelineSpec.
        executors: Its deploymentSpec's, by label.
        mounts: Where pods see volumes: path to the volume's claim.
    """

    spec: pipeline_spec_pb2.PipelineSpec
    executors: Mapping[str, pipeline_spec_pb2.PipelineDeploymentConfig.ExecutorSpec]
    mounts: Mapping[str, str]

    @classmethod
    def read(cls, path: str) -> "CompiledFile":
        """Reads and checks what `yt8m compile` wrote.

        Raises:
            UserError: If it is no such file, or the backend would refuse it.
        """
        documents = _documents(path)
        if not (
            len(documents) in (1, 2)
            and all(isinstance(document, dict) for document in documents)
            and all(isinstance(documents[0].get(section), dict) for section in _SECTIONS)
        ):
            raise UserError(
                f"{path} is no compiled pipeline (a document with {', '.join(_SECTIONS)}, and one for Kubernetes); "
                "give a file that yt8m compile has written"
            )
        spec, platform = documents[0], documents[1] if len(documents) == 2 else {}
        try:
            check_spec(spec, platform)
        except KeyError as error:
            raise UserError(f"{path}: the pipeline lacks {error}; compile it anew") from error
        deployment = json_format.ParseDict(
            spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig()
        )
        return cls(
            json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec()),
            deployment.executors,
            _mounts(platform),
        )


def _documents(path: str) -> list[Any]:
    try:
        with open(path, encoding="utf-8") as file:
            return list(yaml.safe_load_all(file))
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}; give a file that yt8m compile has written"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not YAML: {error}; give a file that yt8m compile has written") from error


def _mounts(platform: Tree) -> dict[str, str]:
    executors = (
        platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    )
    return {
        mount["mountPath"]: mount.get("constant", "")
        for settings in executors.values()
        for mount in settings.get("pvcMount", ())
    }
