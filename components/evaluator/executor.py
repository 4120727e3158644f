"""The Evaluator's executor: TFMA, followed by the size limit and the reasons in plain JSON."""

import json
import os
from typing import Any

import apache_beam as beam
import tensorflow as tf
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.utils import config_util
from tfx.components.evaluator import constants
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import artifact, artifact_utils
from tfx.types import standard_component_specs as keys
from tfx.utils import path_utils, proto_utils

from components.evaluator import blessing, extractors, slices
from components.evaluator.files import HOLDOUT
from components.evaluator.report import EvaluationResults
from components.evaluator.results import read_results
from components.splits import split_files
from components.verdict import Check, Verdict
from serving.export.card import ModelCard
from trainer.data.manifest import spans_of

LIMIT_BYTES_KEY = "limit_bytes"

_Artifacts = dict[str, list[artifact.Artifact]]


class Executor(BaseBeamExecutor):
    """Evaluates with TFMA, takes the blessing from a model that is too big, and says why in JSON.

    TFX's executor reads the files of a directory. Here a file is an address, which may be one in a manifest, and a
    video knows the span that it is of; what TFX does around that is a few lines.
    """

    def Do(  # noqa: N802 (TFX's name)
        self, input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """See `tfx.components.evaluator.executor.Executor.Do`; the property limit_bytes is ours."""
        self._log_startup(input_dict, output_dict, exec_properties)
        self._evaluate(input_dict, output_dict, exec_properties)
        evaluation_uri = artifact_utils.get_single_uri(output_dict[keys.EVALUATION_KEY])
        model = artifact_utils.get_single_instance(input_dict[keys.MODEL_KEY])
        directory = path_utils.serving_model_path(model.uri)
        card = ModelCard.load(directory)
        (split,) = json.loads(exec_properties[keys.EXAMPLE_SPLITS_KEY])
        results = read_results(evaluation_uri)
        if split == HOLDOUT:
            # The card's GAP is of the eval split, on which the assembler chose.
            results = results.model_copy(update={"split": split, "selection_gap": card.gap})
        results.write(evaluation_uri)
        checks = [
            *_gap_checks(results, evaluation_uri, exec_properties),
            *blessing.span_checks(results.slices, _max_gap_drop(exec_properties)),
            *blessing.label_checks(results.slices),
            *blessing.size_checks(
                card.bytes, blessing.directory_bytes(directory), exec_properties[LIMIT_BYTES_KEY]
            ),
        ]
        verdict = Verdict.from_checks(checks)
        blessed = artifact_utils.get_single_instance(output_dict[keys.BLESSING_KEY])
        verdict.write(blessed.uri)
        _mark(blessed, verdict.blessed, input_dict)

    def _evaluate(
        self, input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        (split,) = json.loads(exec_properties[keys.EXAMPLE_SPLITS_KEY])
        files = split_files(input_dict[keys.EXAMPLES_KEY], split)
        given = {
            False: artifact_utils.get_single_instance(input_dict[keys.MODEL_KEY]),
            True: next(iter(input_dict.get(keys.BASELINE_MODEL_KEY) or ()), None),
        }
        config = _config(exec_properties)
        if len(spans_of(files)) > 1:
            config.slicing_specs.add(feature_keys=[slices.SPAN])
        config = config_util.update_eval_config_with_defaults(
            config, has_baseline=given[True] is not None, rubber_stamp=True
        )
        models = [
            extractors.shared_model(
                path_utils.serving_model_path(given[spec.is_baseline].uri), spec.name, config
            )
            for spec in config.model_specs
        ]
        shared = models[0] if len(models) == 1 else models
        with self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "Files" >> beam.Create(files, reshuffle=False)
                | "Spread" >> beam.Reshuffle()
                | "ReadVideos" >> beam.FlatMap(extractors.read_videos).with_output_types(dict)
                | "Evaluate"
                >> tfma.ExtractEvaluateAndWriteResults(
                    eval_shared_model=shared,
                    eval_config=config,
                    extractors=extractors.extractors(shared, config),
                    output_path=artifact_utils.get_single_uri(output_dict[keys.EVALUATION_KEY]),
                )
            )


def _config(exec_properties: dict[str, Any]) -> config_pb2.EvalConfig:
    config = config_pb2.EvalConfig()
    proto_utils.json_to_proto(exec_properties[keys.EVAL_CONFIG_KEY], config)
    return config


def _gap_checks(
    results: EvaluationResults, evaluation_uri: str, exec_properties: dict[str, Any]
) -> list[Check]:
    threshold = _threshold(exec_properties)
    checks = blessing.gap_checks(
        results.candidate and results.candidate.gap,
        results.baseline and results.baseline.gap,
        threshold.value_threshold.lower_bound.value,
        _max_gap_drop(exec_properties),
        holdout=results.is_holdout,
        selection_gap=results.selection_gap,
    )
    validation = tfma.load_validation_result(evaluation_uri)
    if not validation.validation_ok and all(check.passed for check in checks):
        # TFMA has the last word, also about what these checks do not know.
        text = " ".join(f"TFMA did not validate the model: {validation}".split())
        checks.append(Check(name="evaluation", passed=False, text=text))
    return checks


def _threshold(exec_properties: dict[str, Any]) -> config_pb2.MetricThreshold:
    return _config(exec_properties).metrics_specs[0].metrics[0].per_slice_thresholds[0].threshold


def _max_gap_drop(exec_properties: dict[str, Any]) -> float:
    return -_threshold(exec_properties).change_threshold.absolute.value


def _mark(blessed: artifact.Artifact, passed: bool, input_dict: _Artifacts) -> None:
    """Makes a blessing what TFX writes: an empty file, and properties that name the models."""
    name, value = (
        (constants.BLESSED_FILE_NAME, constants.BLESSED_VALUE)
        if passed
        else (constants.NOT_BLESSED_FILE_NAME, constants.NOT_BLESSED_VALUE)
    )
    with tf.io.gfile.GFile(os.path.join(blessed.uri, name), "w") as file:
        file.write("")
    blessed.set_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY, value)
    for key, uri_property, id_property in (
        (
            keys.MODEL_KEY,
            constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY,
            constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY,
        ),
        (
            keys.BASELINE_MODEL_KEY,
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY,
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY,
        ),
    ):
        for model in input_dict.get(key) or ():
            blessed.set_string_custom_property(uri_property, model.uri)
            blessed.set_int_custom_property(id_property, model.id)
