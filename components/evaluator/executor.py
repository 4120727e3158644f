"""TFX's Evaluator executor, followed by the size limit and the reasons in plain JSON."""

import json
import os
import tempfile
from typing import Any

import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tfx.components.evaluator import constants
from tfx.components.evaluator import executor as tfx_evaluator
from tfx.types import artifact, artifact_utils, standard_artifacts
from tfx.types import standard_component_specs as keys
from tfx.utils import path_utils, proto_utils

from components.evaluator import blessing
from components.evaluator.files import HOLDOUT, REASONS_FILE, RESULTS_FILE
from components.evaluator.results import read_results
from serving.export.card import ModelCard

LIMIT_BYTES_KEY = "limit_bytes"

_Artifacts = dict[str, list[artifact.Artifact]]

# TFXIO decodes into Arrow the features that a schema names; without one the frames too, for nothing.
_SCHEMA = 'feature { name: "id" type: BYTES }\n'


class Executor(tfx_evaluator.Executor):
    """Evaluates with TFMA, takes the blessing from a model that is too big, and says why in JSON."""

    def Do(  # noqa: N802 (TFX's name)
        self, input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """See `tfx.components.evaluator.executor.Executor.Do`; the property limit_bytes is ours."""
        with tempfile.TemporaryDirectory() as directory:
            schema = standard_artifacts.Schema()
            schema.uri = directory
            with open(os.path.join(directory, "schema.pbtxt"), "w", encoding="utf-8") as file:
                file.write(_SCHEMA)
            super().Do({**input_dict, keys.SCHEMA_KEY: [schema]}, output_dict, exec_properties)

        evaluation_uri = artifact_utils.get_single_uri(output_dict[keys.EVALUATION_KEY])
        model = artifact_utils.get_single_instance(input_dict[keys.MODEL_KEY])
        directory = path_utils.serving_model_path(model.uri)
        card = ModelCard.load(directory)
        (split,) = json.loads(exec_properties[keys.EXAMPLE_SPLITS_KEY])
        results = read_results(evaluation_uri)
        if split == HOLDOUT:
            # The card's GAP is of the eval split, on which the assembler chose.
            results = {"split": split, "selection_gap": card.gap, **results}
        _write_json(os.path.join(evaluation_uri, RESULTS_FILE), results)
        checks = [
            *_gap_checks(results, evaluation_uri, exec_properties),
            *blessing.label_checks(results["slices"]),
            *blessing.size_checks(
                card.bytes, blessing.directory_bytes(directory), exec_properties[LIMIT_BYTES_KEY]
            ),
        ]
        verdict = blessing.verdict(checks)
        blessed = artifact_utils.get_single_instance(output_dict[keys.BLESSING_KEY])
        _write_json(os.path.join(blessed.uri, REASONS_FILE), verdict)
        if not verdict["blessed"]:
            _take_away(blessed)


def _gap_checks(
    results: dict[str, Any], evaluation_uri: str, exec_properties: dict[str, Any]
) -> list[blessing.Check]:
    config = config_pb2.EvalConfig()
    proto_utils.json_to_proto(exec_properties[keys.EVAL_CONFIG_KEY], config)
    threshold = config.metrics_specs[0].metrics[0].per_slice_thresholds[0].threshold
    checks = blessing.gap_checks(
        (results["candidate"] or {}).get("gap"),
        (results["baseline"] or {}).get("gap"),
        threshold.value_threshold.lower_bound.value,
        -threshold.change_threshold.absolute.value,
        holdout=results.get("split") == HOLDOUT,
        selection_gap=results.get("selection_gap"),
    )
    validation = tfma.load_validation_result(evaluation_uri)
    if not validation.validation_ok and all(check.passed for check in checks):
        # TFMA has the last word, also about what these checks do not know.
        text = " ".join(f"TFMA did not validate the model: {validation}".split())
        checks.append(blessing.Check(name="evaluation", passed=False, text=text))
    return checks


def _take_away(blessed: artifact.Artifact) -> None:
    """Makes a blessing what TFX writes for a model that is not blessed."""
    path = os.path.join(blessed.uri, constants.BLESSED_FILE_NAME)
    if tf.io.gfile.exists(path):
        tf.io.gfile.remove(path)
    with tf.io.gfile.GFile(os.path.join(blessed.uri, constants.NOT_BLESSED_FILE_NAME), "w") as file:
        file.write("")
    blessed.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, constants.NOT_BLESSED_VALUE)


def _write_json(path: str, value: Any) -> None:
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(json.dumps(value, indent=2) + "\n")
