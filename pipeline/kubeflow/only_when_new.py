"""Puts the tasks of a pipeline behind one that looks whether anything is new.

The form is that of the backend's own SDK for `dsl.If`: the tasks become a pipeline in the pipeline, and the one task
that stands for it has a condition on an output parameter of the first task. Where it does not hold, the backend starts
no pod of any of them, and the run has succeeded.
"""

import copy
from typing import Any

from pipeline.kubeflow.change_check import CHANGED, CHECK, FINGERPRINT, RECORD, REPORT
from pipeline.kubeflow.sizing import Resources
from pipeline.kubeflow.spec_edits import RUN_ID, Spec

TRAINING = "Retraining"
"""The name of the task that stands for all others."""

FORCE = "force"
"""The pipeline's parameter that starts them in any case."""

_DATA_PARAMETERS = ("input_base", "input_config", "range_config")
_TEXT = {"parameterType": "STRING"}


def only_when_new(spec: Spec, image: str, command: list[str], resources: Resources) -> Spec:
    """Returns the specification with the two further tasks.

    Args:
        spec: The compiled specification, with all other edits made.
        image: The image of all tasks.
        command: The command that runs a Python module, such as [python, -m].
        resources: What each of the two tasks asks for.
    """
    spec = copy.deepcopy(spec)
    root = spec["root"]
    tasks = root["dag"]["tasks"]
    parameters = root.setdefault("inputDefinitions", {}).setdefault("parameters", {})
    inner = {name: {"parameterType": one["parameterType"]} for name, one in parameters.items()}
    given = {name: {"componentInputParameter": name} for name in parameters}
    parameters[FORCE] = {"parameterType": "BOOLEAN", "defaultValue": False}

    data = spec["components"]["YouTube8MExampleGen"]["inputDefinitions"]["parameters"]
    values = tasks["YouTube8MExampleGen"]["inputs"]["parameters"]
    known = {name: data[name] for name in _DATA_PARAMETERS if name in values}
    report = {REPORT: {"artifactType": {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}}}
    constants = {"recipe": tasks["RunReport"]["inputs"]["parameters"]["recipe"], "image": _constant(image)}
    run_id = {"run_id": _constant(RUN_ID)}
    check = _task(
        CHECK,
        {**given, **constants, **run_id, FORCE: {"componentInputParameter": FORCE}}
        | {name: values[name] for name in known},
    )
    definitions = {
        CHECK: {
            "inputDefinitions": {
                "parameters": {
                    **inner,
                    **dict.fromkeys(("recipe", "image", "run_id"), _TEXT),
                    FORCE: {"parameterType": "BOOLEAN"},
                    **known,
                }
            },
            "outputDefinitions": {
                "parameters": dict.fromkeys((CHANGED, FINGERPRINT), _TEXT),
                "artifacts": report,
            },
        },
        RECORD: {
            "inputDefinitions": {
                "parameters": dict.fromkeys((FINGERPRINT, "push_destination", "run_id"), _TEXT)
            },
            "outputDefinitions": {"artifacts": report},
        },
    }
    for name, definition in definitions.items():
        spec["components"][name] = {"executorLabel": f"{name}_executor", **definition}
        spec["deploymentSpec"]["executors"][f"{name}_executor"] = {
            "container": {
                "image": image,
                "command": [*command, "pipeline.kubeflow.change_check"],
                "args": [name, "{{$}}"],
                "resources": resources.limits(),
            }
        }
    remembered = {name: {"componentInputParameter": name} for name in (FINGERPRINT, "push_destination")}
    record = _task(RECORD, {**remembered, **run_id})
    record["dependentTasks"] = ["RunReport"]
    spec["components"][TRAINING] = {
        "dag": {"tasks": {**tasks, RECORD: record}},
        "inputDefinitions": {"parameters": {**inner, **dict.fromkeys((CHANGED, FINGERPRINT), _TEXT)}},
    }
    training = _task(
        TRAINING,
        given
        | {
            name: {"taskOutputParameter": {"producerTask": CHECK, "outputParameterKey": name}}
            for name in (CHANGED, FINGERPRINT)
        },
    )
    del training["cachingOptions"]
    training["dependentTasks"] = [CHECK]
    training["triggerPolicy"] = {"condition": f"inputs.parameter_values['{CHANGED}'] == 'true'"}
    root["dag"]["tasks"] = {CHECK: check, TRAINING: training}
    return spec


def _constant(value: Any) -> dict[str, Any]:
    return {"runtimeValue": {"constant": value}}


def _task(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "componentRef": {"name": name},
        "taskInfo": {"name": name},
        "cachingOptions": {},  # it reads what is not among its inputs
        "inputs": {"parameters": parameters},
    }
