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

from components.evaluator.files import RESULTS_FILE
from components.pusher.files import RESULT_FILE
from components.pusher.model_card import model_card
from components.pusher.push import push
from components.remote_tree import local_tree
from serving.export.card import ModelCard

_logger = logging.getLogger("yt8m.pusher")

_Artifacts = dict[str, list[Artifact]]


class Executor(base_executor.BaseExecutor):
    """See `push`."""

    def Do(  # noqa: N802
        self, input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any]
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
            text = model_card(
                ModelCard.load(directory),
                model_name=exec_properties["model_name"],
                data_licence=exec_properties["data_licence"],
                evaluation=_json(input_dict, "evaluation", RESULTS_FILE),
                data=_json(input_dict, "data", "report.json"),
            )
            result = push(directory, exec_properties["push_destination"], blessings, text)
        pushed_model = artifact_utils.get_single_instance(output_dict["pushed_model"])
        pushed_model.set_int_custom_property("pushed", int(result["pushed"]))
        if result["pushed"]:
            pushed_model.set_string_custom_property("pushed_destination", result["destination"])
            pushed_model.set_string_custom_property("pushed_version", str(result["version"]))
        tf.io.gfile.makedirs(pushed_model.uri)
        with tf.io.gfile.GFile(posixpath.join(pushed_model.uri, RESULT_FILE), "w") as file:
            file.write(json.dumps(result, indent=2) + "\n")
        _logger.info("push to %s: %s", exec_properties["push_destination"], result["reason"])


def _json(input_dict: _Artifacts, key: str, name: str) -> dict[str, Any] | None:
    """A JSON file of an artifact; None where the pipeline has no such input."""
    if not input_dict.get(key):
        return None
    with tf.io.gfile.GFile(posixpath.join(input_dict[key][0].uri, name)) as file:
        return json.load(file)
