"""Reads the tasks of a pipeline, and which waits for which."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter

from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.rehearsal.compiled_file import CompiledFile
from trainer.base.addresses import check_inside
from trainer.base.errors import UserError

WHOLE_INPUT = "{{$}}"
"""The placeholder in a command that stands for the ExecutorInput as JSON."""


Source = tuple[str, str]
"""A task, and the key of a parameter that it puts out."""

_CONDITION = re.compile(r"inputs\.parameter_values\['(?P<name>[^']+)'\] == '(?P<value>[^']*)'")


@dataclass(frozen=True)
class Task:
    """One task as the backend sees it.

    Attributes:
        name: The id of the task.
        spec: Its inputs and retry policy.
        component: The types of its parameters and artifacts.
        container: Its image and command, with placeholders.
        claims: The claims of the volumes that its pod mounts.
        upstream: The tasks that must have succeeded before it begins.
    """

    name: str
    spec: pipeline_spec_pb2.PipelineTaskSpec
    component: pipeline_spec_pb2.ComponentSpec
    container: pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec
    claims: tuple[str, ...]
    upstream: frozenset[str]
    condition: tuple[Source, str] | None = None
    """The output parameter that the pipeline around the task looks at, and the value with which it runs."""
    given: Mapping[str, pipeline_spec_pb2.TaskInputsSpec.InputParameterSpec] = field(default_factory=dict)
    """The inputs of the pipeline around the task, by name; empty for a task of the whole pipeline."""

    @property
    def command(self) -> tuple[str, ...]:
        """The command and arguments of its container."""
        return (*self.container.command, *self.container.args)


def read_tasks(compiled: CompiledFile) -> dict[str, Task]:
    """Returns the tasks in an order in which they can run one after the other.

    The order is the same whenever a file is read: tasks that can stand in either order are sorted by name, as in
    the backend's own compiler.

    Raises:
        UserError: If the pipeline has something that a rehearsal does not know, because this project's pipelines do not
            have it: conditions, loops, pipelines in pipelines, importers, exit handlers, placeholders other than
            {{$}} in commands.
    """
    tasks: dict[str, Task] = {}
    # Maps of protobuf have no order of their own.
    for name, spec in sorted(compiled.spec.root.dag.tasks.items()):
        component = compiled.spec.components[spec.component_ref.name]
        if component.WhichOneof("implementation") == "dag" and spec.trigger_policy.condition:
            tasks |= _conditional_tasks(name, spec, component, compiled)
        else:
            tasks[name] = _task(name, spec, compiled)
    try:
        order = [
            *TopologicalSorter({name: sorted(task.upstream) for name, task in tasks.items()}).static_order()
        ]
    except CycleError as error:
        raise UserError(
            f"tasks wait for each other: {' <- '.join(error.args[1])}; compile it anew"
        ) from error
    if unknown := [name for name in order if name not in tasks]:
        raise UserError(f"a task waits for {unknown[0]}, which is no task; compile it anew")
    return {name: tasks[name] for name in order}


def _task(name: str, spec: pipeline_spec_pb2.PipelineTaskSpec, compiled: CompiledFile) -> Task:
    component = compiled.spec.components[spec.component_ref.name]
    outputs, inputs = component.output_definitions, component.input_definitions
    check_inside((*outputs.artifacts, *inputs.artifacts), f"{name}: {compiled.package.path}")
    container = compiled.executors[component.executor_label].container
    if unknown := [*_unknown(spec, component, container)]:
        raise UserError(f"{name}: a rehearsal does not know {unknown[0]}")
    producers = {given.task_output_artifact.producer_task for given in spec.inputs.artifacts.values()}
    claims = tuple(compiled.volumes.get(component.executor_label, {}).values())
    upstream = frozenset({*spec.dependent_tasks, *producers})
    return Task(name, spec, component, container, claims, upstream)


def _conditional_tasks(
    name: str,
    spec: pipeline_spec_pb2.PipelineTaskSpec,
    component: pipeline_spec_pb2.ComponentSpec,
    compiled: CompiledFile,
) -> dict[str, Task]:
    """Returns the tasks of a pipeline in the pipeline with a condition, as the backend's SDK makes it of `dsl.If`."""
    found = _CONDITION.fullmatch(spec.trigger_policy.condition)
    source = found and spec.inputs.parameters.get(found["name"])
    if not source or source.WhichOneof("kind") != "task_output_parameter":
        raise UserError(
            f"{name}: a rehearsal does not know the condition {spec.trigger_policy.condition:.100}; it knows those of "
            "yt8m compile, on a parameter that another task puts out"
        )
    producer = source.task_output_parameter
    condition = ((producer.producer_task, producer.output_parameter_key), found["value"])
    return {
        inner: replace(
            task,
            upstream=task.upstream | {producer.producer_task},
            condition=condition,
            given=dict(spec.inputs.parameters),
        )
        for inner, task in (
            (inner, _task(inner, made, compiled)) for inner, made in sorted(component.dag.tasks.items())
        )
    }


def _unknown(
    spec: pipeline_spec_pb2.PipelineTaskSpec,
    component: pipeline_spec_pb2.ComponentSpec,
    container: pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec,
) -> Iterator[str]:
    if component.WhichOneof("implementation") != "executor_label" or not container.command:
        yield "tasks that run no container"
    if spec.WhichOneof("iterator"):
        yield "loops"
    if spec.trigger_policy.condition:
        yield f"conditions ({spec.trigger_policy.condition:.100}); no pipeline of yt8m compile has one"
    if spec.trigger_policy.strategy not in (
        pipeline_spec_pb2.PipelineTaskSpec.TriggerPolicy.TRIGGER_STRATEGY_UNSPECIFIED,
        pipeline_spec_pb2.PipelineTaskSpec.TriggerPolicy.ALL_UPSTREAM_TASKS_SUCCEEDED,
    ):
        yield "tasks that run whatever happened to others"
    for _, given in sorted(spec.inputs.parameters.items()):
        if given.WhichOneof("kind") not in ("runtime_value", "component_input_parameter"):
            yield f"parameters of the kind {given.WhichOneof('kind')}"
        if given.parameter_expression_selector:
            yield "parts of parameters"
    for _, given in sorted(spec.inputs.artifacts.items()):
        if given.WhichOneof("kind") != "task_output_artifact":
            yield f"artifacts of the kind {given.WhichOneof('kind')}"
    for word in (*container.command, *container.args):
        if "{{$" in word.replace(WHOLE_INPUT, ""):
            yield f"the placeholder in {word:.100}"
