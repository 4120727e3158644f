"""Runs one task of a compiled pipeline in its container, between the backend's JSON and TFX's artifacts.

TFX's own entry point does not work on open-source Kubeflow Pipelines; `executor_messages` says most of what differs.
Besides, a file-based ExampleGen gets its span and its files' fingerprint here, because the backend ignores TFX's hook.
What a killed attempt left in the outputs is removed, except for training states and soft targets, from which the next
one goes on.

Exit codes: 0 fine, 2 the input was wrong, 1 anything else; the last line on standard error says what, where, and what
to do.
"""

import argparse
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from pipeline.kubeflow.executor_messages import ABSENT, PAYLOAD, Task, from_backend, to_backend
from pipeline.kubeflow.installed import resolve_installed
from pipeline.user_errors import causes, error_text, find_user_error
from trainer.base.full_disk import full_disk
from trainer.base.garbage import collect_less

CLASS_PATHS = {
    "yt8m.Report": "components.artifacts.Report",
    "yt8m.SoftTargets": "components.artifacts.SoftTargets",
    "system.HTML": "components.artifacts.HtmlPage",
    "system.Metrics": "components.artifacts.Metrics",
}
"""The classes of the artifact types that TFX does not have, by the type's name."""


def main(argv: Sequence[str]) -> int:
    """Runs one task; the arguments are those that `spec_edits.with_entry_point_arguments` writes."""
    parser = argparse.ArgumentParser(prog="entry_point", allow_abbrev=False)
    parser.add_argument("--component_id", required=True)
    parser.add_argument("--executor_class_path", required=True)
    parser.add_argument("--json_serialized_invocation_args", required=True, type=json.loads)
    parser.add_argument("--json_serialized_inputs_spec_args", required=True, type=json.loads)
    arguments, beam_arguments = parser.parse_known_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(message)s")
    logging.getLogger("yt8m").setLevel(logging.INFO)
    try:
        _run(arguments, beam_arguments)
    except BaseException as error:
        # KeyboardInterrupt and SystemExit as well: the last line must be there.
        reason = find_user_error(error) or _gone_inputs(error, arguments.json_serialized_invocation_args)
        if reason is None:
            traceback.print_exc()
            inputs = _input_addresses(arguments.json_serialized_invocation_args)
            full = full_disk(error)
            what = f"{error_text(error)}{f'; {full}' if full else ''}"
            reason = f"{what} (inputs: {inputs}; the trace is above)"
            _say(arguments.component_id, reason)
            return 1
        _say(arguments.component_id, reason)
        return 2
    return 0


def _run(arguments: argparse.Namespace, beam_arguments: list[str]) -> None:
    # TFX takes seconds, and is not needed to refuse wrong arguments.
    from google.protobuf import json_format
    from kfp.pipeline_spec import pipeline_spec_pb2
    from tfx.dsl.io import fileio
    from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_entrypoint_utils as utils
    from tfx.orchestration.portable import outputs_utils

    from components.example_gen.executor import CHECKS_KEY, checks_directory

    _register_types()
    task = from_backend(arguments.json_serialized_invocation_args, arguments.json_serialized_inputs_spec_args)
    given = json_format.ParseDict(
        task.executor_input, pipeline_spec_pb2.ExecutorInput(), ignore_unknown_fields=True
    )
    spec = json_format.ParseDict(
        arguments.json_serialized_inputs_spec_args, pipeline_spec_pb2.ComponentInputsSpec()
    )
    names: dict[int, str] = {}
    inputs = utils.parse_raw_artifact_dict(given.inputs.artifacts, names)
    outputs = utils.parse_raw_artifact_dict(given.outputs.artifacts, names)
    properties = utils.parse_execution_properties(
        given.inputs.parameter_values, given.inputs.parameters, spec
    )
    properties = {key: resolve_installed(value) for key, value in properties.items()}
    if "input_base" in properties and "input_config" in properties:
        properties = _resolve_span(properties, outputs)
        # PIPELINE-ROOT/PIPELINE/RUN/TASK/ID/_payload/KEY: all runs of the pipeline share the checks.
        properties[CHECKS_KEY] = checks_directory(outputs["examples"][0].uri, levels=5)
    _prepare_outputs(outputs, task)
    _executor(arguments.executor_class_path, beam_arguments, task).Do(inputs, outputs, properties)

    outputs_utils.tag_output_artifacts_with_version(outputs)
    _name_models(outputs, names)
    result = to_backend(
        {
            key: json_format.MessageToDict(utils.to_runtime_artifact(found[0], names)) if found else None
            for key, found in outputs.items()
        },
        task,
    )
    # The launcher refuses an unknown field; so does this.
    json_format.ParseDict(result, pipeline_spec_pb2.ExecutorOutput())
    output_file = given.outputs.output_file
    os.makedirs(os.path.dirname(output_file), exist_ok=True)
    with open(output_file, "w", encoding="utf-8") as file:
        json.dump(result, file, sort_keys=True)
    if task.temp_uri and fileio.exists(task.temp_uri):
        fileio.rmtree(task.temp_uri)


def _register_types() -> None:
    from tfx.orchestration.kubeflow.v2 import compiler_utils

    compiler_utils.TITLE_TO_CLASS_PATH.update(CLASS_PATHS)


def _resolve_span(properties: dict[str, Any], outputs: dict[str, list[Any]]) -> dict[str, Any]:
    """Finds the newest span of the patterns, as TFX's driver does on other platforms."""
    from tfx.components.example_gen.driver import update_output_artifact
    from tfx.orchestration import data_types

    from components.example_gen.driver import Driver

    pipeline = data_types.PipelineInfo("", "")
    # The driver does not look at the two, and asks no metadata store for files.
    properties = Driver(None).resolve_exec_properties(
        properties, pipeline, data_types.ComponentInfo("", "", pipeline)
    )
    for artifact in outputs["examples"]:
        update_output_artifact(properties, artifact.mlmd_artifact)
    return properties


def _prepare_outputs(outputs: dict[str, list[Any]], task: Task) -> None:
    """Empties the output directories, as TFX's executors expect, but keeps what the next attempt goes on from."""
    from tfx.dsl.io import fileio
    from tfx.types import standard_artifacts

    from components.artifacts import SoftTargets

    kept = (standard_artifacts.ModelRun, SoftTargets)
    for key, artifacts in outputs.items():
        for artifact in artifacts:
            if artifact.uri == task.output_uris[key]:
                continue  # one file at this very address
            if fileio.exists(artifact.uri) and not isinstance(artifact, kept):
                fileio.rmtree(artifact.uri)
            fileio.makedirs(artifact.uri)


def _executor(class_path: str, beam_arguments: list[str], task: Task) -> Any:
    from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
    from tfx.dsl.components.base.base_executor import BaseExecutor
    from tfx.utils import import_utils

    executor_class = import_utils.import_class_by_path(class_path)
    place = {"tmp_dir": task.temp_uri, "unique_id": os.path.basename(os.path.dirname(task.temp_uri or ""))}
    if issubclass(executor_class, BaseBeamExecutor):
        return executor_class(BaseBeamExecutor.Context(beam_pipeline_args=beam_arguments, **place))
    return executor_class(BaseExecutor.Context(extra_flags=beam_arguments, **place))


def _name_models(outputs: dict[str, list[Any]], names: dict[int, str]) -> None:
    """Replaces ids in a blessing, which are made up here, by the names by which the backend knows artifacts."""
    from tfx.components.evaluator import constants

    for artifact in (artifact for artifacts in outputs.values() for artifact in artifacts):
        for key in (
            constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY,
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY,
        ):
            if artifact.has_custom_property(key):
                number = artifact.get_int_custom_property(key)
                artifact.set_string_custom_property(key, names.get(number, ""))


def _gone_inputs(error: BaseException, executor_input: dict[str, Any]) -> str | None:
    """Names the inputs whose files are gone, after a file was not found.

    The cache hands out what a step once made without looking whether it is still there.
    """
    from tfx.dsl.io import fileio

    if not any("NotFound" in type(one).__name__ for one in causes(error)):
        return None

    try:
        gone = [
            f"{key} ({place})"
            for key, artifact in _input_artifacts(executor_input)
            if not artifact.get("metadata", {}).get(ABSENT)
            and not fileio.exists(
                place := artifact.get("metadata", {}).get(PAYLOAD) or artifact.get("uri", "")
            )
        ]
    except Exception:  # what went wrong first is to be said, whatever this look meets
        return None
    if not gone:
        return None
    return (
        f"the files of its input {', '.join(gone)} are gone; the step that made them was taken from the cache, or they "
        "were deleted during the run. Restore them, or compile with another tag of the image: a step of another image "
        "is not taken from the cache"
    )


def _input_addresses(executor_input: dict[str, Any]) -> str:
    return ", ".join(f"{key}={one.get('uri')}" for key, one in _input_artifacts(executor_input)) or "none"


def _input_artifacts(executor_input: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields key and artifact of each input, as the backend gave them."""
    for key, entry in executor_input.get("inputs", {}).get("artifacts", {}).items():
        for artifact in entry.get("artifacts", ()):
            yield key, artifact


def _say(component: str, reason: str) -> None:
    line = " ".join(f"yt8m: {component}: {reason}".split())
    sys.stderr.write(f"{line if len(line) <= 4000 else line[:4000] + ' ...'}\n")


def _leave(code: int) -> NoReturn:
    """Ends the process at once: libraries have been seen to crash while the interpreter shuts down."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    collect_less()
    own_arguments = sys.argv[1:]
    # TFX hands sys.argv to its executors, and Beam reads options from it.
    del sys.argv[1:]
    # As in the containers of its own components: kfp, whose messages are used, leaves out its client.
    os.environ["_KFP_RUNTIME"] = "true"
    _leave(main(own_arguments))
