"""Turns a PipelineSpec that TFX compiled into one that open-source Kubeflow Pipelines takes.

TFX compiles for Vertex AI. Each function takes the specification as plain dictionaries and returns a changed copy.
"""

import copy
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from pipeline.kubeflow.sizing import Resources

Spec = dict[str, Any]

RUN_ID = "{{$.pipeline_job_uuid}}"
"""The constant that the backend replaces by the run's id when a task starts."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often a failed task starts again, and after how many seconds.

    Attributes:
        count: How often the task starts again.
        backoff: The seconds before it starts again for the first time.
        factor: The factor by which each further wait is longer than the one before.
        window: The seconds after the task's first start in which it may start again. Argo takes `backoffMaxDuration`
            for that, and not for the longest wait; after it Argo starts nothing again and ends a running second
            attempt. So it is longer than any training.
    """

    count: int
    backoff: int = 60
    factor: float = 2
    window: int = 30 * 86_400


def with_pipeline_root(spec: Spec, root: str) -> Spec:
    """Sets the directory of the artifacts of runs that name no other, which TFX leaves out of YAML."""
    return {**copy.deepcopy(spec), "defaultPipelineRoot": root}


def with_run_id(spec: Spec, parameter: str) -> Spec:
    """Replaces a root parameter by the run's id, which the backend knows itself."""
    spec = copy.deepcopy(spec)
    for task in _tasks(spec).values():
        for value in _parameters(task).values():
            if value.get("componentInputParameter") == parameter:
                value.clear()
                value["runtimeValue"] = {"constant": RUN_ID}
    definitions = spec["root"].get("inputDefinitions", {})
    definitions.get("parameters", {}).pop(parameter, None)
    if not definitions.get("parameters") and not definitions.get("artifacts"):
        spec["root"].pop("inputDefinitions", None)
    return spec


def with_root_parameters(spec: Spec, names: Mapping[str, Collection[str]]) -> Spec:
    """Turns exec properties into parameters of the pipeline, with the compiled value as default.

    Args:
        spec: The compiled specification.
        names: The tasks that have an exec property, by its name; they all have the same value.
    """
    spec = copy.deepcopy(spec)
    root = spec["root"].setdefault("inputDefinitions", {}).setdefault("parameters", {})
    for name, owners in names.items():
        for owner in sorted(owners):
            definition = spec["components"][owner]["inputDefinitions"]["parameters"][name]
            value = _parameters(_tasks(spec)[owner])[name]
            default = value.pop("runtimeValue")["constant"]
            value["componentInputParameter"] = name
            made = {"parameterType": definition["parameterType"], "defaultValue": default}
            if root.setdefault(name, made) != made:
                raise ValueError(f"exec property {name} differs between {sorted(owners)}")
    return spec


def with_caching_off(spec: Spec, tasks: Collection[str]) -> Spec:
    """Switches caching off for tasks that read something that is not one of their inputs."""
    spec = copy.deepcopy(spec)
    for name in tasks:
        # An empty message is how the backend's own SDK writes it.
        _tasks(spec)[name]["cachingOptions"] = {}
    return spec


def with_retries(spec: Spec, policies: Mapping[str, RetryPolicy]) -> Spec:
    """Sets retry policies by task; a task whose count is 0 gets none."""
    spec = copy.deepcopy(spec)
    for name, policy in policies.items():
        if policy.count:
            _tasks(spec)[name]["retryPolicy"] = {
                "maxRetryCount": policy.count,
                "backoffDuration": f"{policy.backoff}s",
                "backoffFactor": float(policy.factor),
                "backoffMaxDuration": f"{policy.window}s",
            }
    return spec


def with_resources(spec: Spec, resources: Mapping[str, Resources]) -> Spec:
    """Sets cores, memory and GPUs by task."""
    spec = copy.deepcopy(spec)
    for name, wanted in resources.items():
        container(spec, name)["resources"] = wanted.limits()
    return spec


def with_entry_point_arguments(spec: Spec, beam: Mapping[str, list[str]]) -> Spec:
    """Writes the command lines that `entry_point` reads: the component's id, and for Beam tasks Beam's arguments.

    TFX gives Beam's arguments to every step, and spells out each input's type, although its title is enough: the
    command line of a RunReport with 28 variants would be tens of kilobytes long. The lifecycle hook is removed, since
    the backend ignores it.

    Args:
        spec: The compiled specification.
        beam: Beam's arguments, by the names of the tasks that run Beam.
    """
    spec = copy.deepcopy(spec)
    for name in _tasks(spec):
        made = container(spec, name)
        made.pop("lifecycle", None)
        options = dict(zip(made["args"][::2], made["args"][1::2], strict=False))
        inputs = spec["components"][name].get("inputDefinitions", {})
        made["args"] = [
            "--component_id",
            name,
            "--executor_class_path",
            options["--executor_class_path"],
            "--json_serialized_invocation_args",
            "{{$}}",
            "--json_serialized_inputs_spec_args",
            json.dumps(_titles_only(inputs), sort_keys=True, separators=(",", ":")),
            *beam.get(name, ()),
        ]
    return spec


def all_tasks(spec: Spec) -> dict[str, Any]:
    """Returns the tasks that have containers, by name, wherever they stand: in the pipeline or in a pipeline in it."""
    return {
        name: task
        for tasks, _ in dags(spec)
        for name, task in tasks.items()
        if "dag" not in spec["components"][task["componentRef"]["name"]]
    }


def dags(spec: Spec) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Returns the tasks and the parameters of the pipeline and of each pipeline in it."""
    parts = [spec["root"], *(one for one in spec["components"].values() if "dag" in one)]
    return [
        (part["dag"].get("tasks", {}), part.get("inputDefinitions", {}).get("parameters", {}))
        for part in parts
    ]


def container(spec: Spec, task: str) -> dict[str, Any]:
    """Returns the container of a task, which the caller may change in place."""
    label = spec["components"][all_tasks(spec)[task]["componentRef"]["name"]]["executorLabel"]
    return spec["deploymentSpec"]["executors"][label]["container"]


def _titles_only(inputs: dict[str, Any]) -> dict[str, Any]:
    inputs = copy.deepcopy(inputs)
    for artifact in inputs.get("artifacts", {}).values():
        schema = artifact["artifactType"]
        if "instanceSchema" in schema:
            schema["instanceSchema"] = f"title: {yaml.safe_load(schema['instanceSchema'])['title']}\n"
    return inputs


def _tasks(spec: Spec) -> dict[str, Any]:
    return spec["root"]["dag"]["tasks"]


def _parameters(task: dict[str, Any]) -> dict[str, Any]:
    return task.get("inputs", {}).get("parameters", {})
