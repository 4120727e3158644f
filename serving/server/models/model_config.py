"""Says which models a server serves, also from a file in TensorFlow Serving's own format."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from google.protobuf import text_format
from tensorflow_serving.config.file_system_storage_path_source_pb2 import FileSystemStoragePathSourceConfig
from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

from serving.server.models.version_policy import VersionPolicy
from serving.store.model_store import open_store, served_version, version_path
from trainer.base.errors import UserError
from trainer.base.files import at_once


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One served model.

    Attributes:
        name: Name by which clients ask for the model.
        base_path: Directory of the model's versions.
        policy: Chooses the versions that are served.
        labels: Numbers of versions, by their labels; each version must be served.
    """

    name: str
    base_path: str
    policy: VersionPolicy = field(default_factory=VersionPolicy)
    labels: Mapping[str, int] = field(default_factory=dict)


_EXAMPLE = "model_config_list { config { name: 'yt8m' base_path: '/models/yt8m' } }"
"""The least of a file, for messages."""


def read_model_configs(path: str) -> list[ModelConfig]:
    """Reads the models of a TensorFlow Serving `--model_config_file` (ModelServerConfig as a text proto).

    Raises:
        UserError: If it cannot be read, or its models do not fit each other.
    """
    try:
        with open(path, encoding="utf-8", opener=at_once) as file:
            parsed = text_format.Parse(file.read(), ModelServerConfig())
    except OSError as error:
        raise UserError(f"cannot read the model configuration {path}: {error.strerror or error}") from None
    except (text_format.ParseError, UnicodeDecodeError) as error:
        where = (
            f"line {error.GetLine()}"
            if isinstance(error, text_format.ParseError)
            else "it is no text in UTF-8"
        )
        raise UserError(
            f"{path} is not a ModelServerConfig in text form ({where}): it is like {_EXAMPLE}"
        ) from None
    return model_configs(parsed, path)


def model_configs(parsed: ModelServerConfig, source: str) -> list[ModelConfig]:
    """Returns the models of a ModelServerConfig.

    Args:
        parsed: The configuration.
        source: Where it is from, for the texts of errors.

    Raises:
        UserError: If it has none, or its models do not fit each other.
    """
    models: list[ModelConfig] = []
    for entry in parsed.model_config_list.config:
        if not entry.name or not entry.base_path:
            raise UserError(f"{source}: a model needs a name and a base_path. Received: {_line(entry)}")
        if entry.name in {model.name for model in models}:
            raise UserError(f"{source}: there are two models with the name {entry.name}: rename one")
        models.append(
            ModelConfig(
                name=entry.name,
                base_path=entry.base_path,
                policy=_policy(source, entry.model_version_policy),
                labels=dict(entry.version_labels),
            )
        )
    if not models:
        raise UserError(f"{source} has no model: it needs a model_config_list with a config")
    return models


def check_model(config: ModelConfig) -> list[int]:
    """Checks that what is to be served exists, before anything is loaded.

    Returns:
        The versions to be loaded, ascending: those that the policy chooses and those that have a label.

    Raises:
        UserError: If the directory has no version, or lacks one that the policy or a label names.
    """
    served_version(config.base_path)  # UserError when there is none
    for version in config.policy.specific:
        version_path(config.base_path, version)
    store = open_store(config.base_path)
    versions = store.versions()
    chosen = sorted({*config.policy.choose(versions), *(set(store.labels().values()) & set(versions))})
    for label, version in config.labels.items():
        if version not in chosen:
            raise UserError(
                f"the label {label} of model {config.name} points to version {version}, which is not served; served: "
                f"{', '.join(map(str, chosen))}"
            )
    return chosen


def _policy(source: str, policy: FileSystemStoragePathSourceConfig.ServableVersionPolicy) -> VersionPolicy:
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return VersionPolicy(everything=True)
    if kind == "specific":
        if not policy.specific.versions:
            raise UserError(f"{source}: a specific policy needs versions")
        return VersionPolicy(specific=tuple(policy.specific.versions))
    return VersionPolicy(latest=policy.latest.num_versions or 1)


def _line(message: object) -> str:
    return re.sub(r"\s+", " ", str(message)).strip() or "nothing"
