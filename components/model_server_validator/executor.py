"""The ModelServerValidator's executor: unpacks artifacts and calls."""

import json
import logging
import posixpath
from typing import Any

import tensorflow as tf
from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.model_server_validator.probes import choose_probes
from components.model_server_validator.validation import validate_server
from components.remote_tree import local_tree
from components.splits import split_files

_logger = logging.getLogger("yt8m.model_server_validator")

REASONS_FILE = "blessing_reasons.json"
"""In the blessing artifact: see `validate_server`."""

_MARKS = {True: "INFRA_BLESSED", False: "INFRA_NOT_BLESSED"}
"""Empty files that TFX's InfraValidator writes, for whoever looks for those."""


class Executor(base_executor.BaseExecutor):
    """See `validate_server`."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Blesses the model, or says why not."""
        model = artifact_utils.get_single_instance(input_dict["model"])
        blessing = artifact_utils.get_single_instance(output_dict["blessing"])
        probes = choose_probes(split_files(input_dict["examples"], "eval"))
        with local_tree(path_utils.serving_model_path(model.uri)) as directory:
            verdict = validate_server(directory, probes)
        tf.io.gfile.makedirs(blessing.uri)
        _write(posixpath.join(blessing.uri, REASONS_FILE), json.dumps(verdict, indent=2) + "\n")
        _write(posixpath.join(blessing.uri, _MARKS[verdict["blessed"]]), "")
        # What TFX's and our Pusher read.
        blessing.set_int_custom_property("blessed", int(verdict["blessed"]))
        for reason in verdict["reasons"]:
            _logger.info("model server: %s", reason)


def _write(path: str, text: str) -> None:
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(text)
