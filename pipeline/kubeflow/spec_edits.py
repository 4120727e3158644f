"""What a compiled PipelineSpec needs before open-source Kubeflow Pipelines takes it.

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
"""A constant that is exactly this is the run's id when the task starts."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often a failed task starts again, and after how many seconds.

    The window, too, counts from the task's first start: Argo, which takes `backoffMaxDuration` for that and not for the
    longest wait, starts nothing again after it, and ends what is then in its second attempt. So it is longer than any
    training.
    """

    count: int
    backoff: int = 60
    factor: float = 2
    window: int = 30 * 86_400


def with_pipeline_root(spec: Spec, root: str) -> Spec:
    """The root where a run that names none keeps its artifacts; TFX leaves it out of YAML."""
    return {**copy.deepcopy(spec), "defaultPipelineRoot": root}


def with_run_id(spec: Spec, parameter: str) -> Spec:
    """Replaces a root parameter by the run's id, which the backend knows without being told."""
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
    """Makes exec properties parameters of the pipeline, their compiled value the default.

    Args:
        spec: Compiled.
        names: Exec property: the tasks that have it, all with the same value.
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
    """No caching for tasks that read what is no input of theirs."""
    spec = copy.deepcopy(spec)
    for name in tasks:
        # An empty message is how the backend's own SDK writes it.
        _tasks(spec)[name]["cachingOptions"] = {}
    return spec


def with_retries(spec: Spec, policies: Mapping[str, RetryPolicy]) -> Spec:
    """Retry policies, by task; a count of 0 is no policy."""
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
    """Cores, memory and GPUs, by task."""
    spec = copy.deepcopy(spec)
    for name, wanted in resources.items():
        cpus, memory = float(wanted.cpus), float(wanted.memory_gb)
        made = {"cpuLimit": cpus, "cpuRequest": cpus, "memoryLimit": memory, "memoryRequest": memory}
        if wanted.gpus:
            # The type is taken as Kubernetes' name of the resource.
            made["accelerator"] = {"type": wanted.gpu_resource, "count": str(wanted.gpus)}
        container(spec, name)["resources"] = made
    return spec


def with_entry_point_arguments(spec: Spec, beam: Mapping[str, list[str]]) -> Spec:
    """The command lines as `entry_point` reads them: the component's id, and Beam's arguments where Beam is.

    TFX gives Beam's arguments to every step, and spells out each input's type, of which the title is enough: the
    command line of a RunReport with 28 variants would be tens of kilobytes long. The lifecycle hook, which the
    backend ignores, goes.

    Args:
        spec: Compiled.
        beam: Beam's arguments, by the tasks that run Beam.
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


def container(spec: Spec, task: str) -> dict[str, Any]:
    """The container of a task, to be changed in place."""
    label = spec["components"][_tasks(spec)[task]["componentRef"]["name"]]["executorLabel"]
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
