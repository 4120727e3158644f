"""The Pusher's executor: unpacks artifacts and calls."""

import json
import logging
import posixpath
from typing import Any

import tensorflow as tf
from tfx.components.util import model_utils
from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.pusher.push import push
from components.remote_tree import local_tree

_logger = logging.getLogger("yt8m.pusher")

RESULT_FILE = "pushed.json"
"""In the pushed_model artifact: see `push`."""


class Executor(base_executor.BaseExecutor):
    """See `push`."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Pushes the model if both blessings say so, and says what was done in the properties of TFX's
        Pusher."""
        model = artifact_utils.get_single_instance(input_dict["model"])
        evaluated = artifact_utils.get_single_instance(input_dict["model_blessing"])
        served = artifact_utils.get_single_instance(input_dict["infra_blessing"])
        blessings = {
            "the Evaluator": model_utils.is_model_blessed(evaluated),
            "the ModelServerValidator": model_utils.is_infra_validated(served),
        }
        with local_tree(path_utils.serving_model_path(model.uri)) as directory:
            result = push(directory, exec_properties["push_destination"], blessings)
        pushed_model = artifact_utils.get_single_instance(output_dict["pushed_model"])
        pushed_model.set_int_custom_property("pushed", int(result["pushed"]))
        if result["pushed"]:
            pushed_model.set_string_custom_property("pushed_destination", result["destination"])
            pushed_model.set_string_custom_property("pushed_version", str(result["version"]))
        tf.io.gfile.makedirs(pushed_model.uri)
        with tf.io.gfile.GFile(posixpath.join(pushed_model.uri, RESULT_FILE), "w") as file:
            file.write(json.dumps(result, indent=2) + "\n")
        _logger.info("push to %s: %s", exec_properties["push_destination"], result["reason"])
