"""The parameters of a run, and what each task gets of them."""

import datetime
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value
from kfp.pipeline_spec import pipeline_spec_pb2

from pipeline.kubeflow.package import Package, parse_parameters
from pipeline.rehearsal.graph import Source, Task
from trainer.base.errors import UserError

_Type = pipeline_spec_pb2.ParameterType

_KINDS = {
    _Type.STRING: "string_value",
    _Type.NUMBER_INTEGER: "number_value",
    _Type.NUMBER_DOUBLE: "number_value",
    _Type.BOOLEAN: "bool_value",
    _Type.LIST: "list_value",
    _Type.STRUCT: "struct_value",
}
"""The field of a Value that holds a parameter of each type."""


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Run:
    """One run of a pipeline.

    Attributes:
        pipeline: The name of the pipeline.
        parameters: The values of the pipeline's parameters, by name.
        id: The id of the run, a new one for every run.
        created: The time of its start in RFC 3339, UTC.
    """

    pipeline: str
    parameters: Mapping[str, Value]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: str = field(default_factory=_now)


def run_parameters(package: Package, settings: Sequence[str]) -> dict[str, Value]:
    """Returns the values of the pipeline's parameters: their defaults, or what a run sets.

    Args:
        package: The compiled pipeline.
        settings: Texts of the form `name=value`; lists and structures are JSON.

    Raises:
        UserError: If there is no such parameter, a value is of another type, or all together take too many bytes.
    """
    defaults = {name: definition.get("defaultValue") for name, definition in package.parameters.items()}
    values = defaults | parse_parameters(package, settings, "--set")
    return {name: json_format.ParseDict(value, Value()) for name, value in values.items()}


def task_parameters(task: Task, run: Run, put_out: Mapping[Source, Value] | None = None) -> dict[str, Value]:
    """Returns the parameters that a task's container gets.

    Args:
        task: The task.
        run: The run.
        put_out: The parameters that tasks have put out so far; None before a run, where parameters that come from
            other tasks are left out.

    Raises:
        UserError: If a value is of another type than its parameter, a placeholder is not known, or one is missing.
    """
    definitions = task.component.input_definitions.parameters
    values, later = {}, set()
    for name, given in task.spec.inputs.parameters.items():
        if given.WhichOneof("kind") == "component_input_parameter" and task.given:
            given = task.given[given.component_input_parameter]
        if given.WhichOneof("kind") == "component_input_parameter":
            value = run.parameters[given.component_input_parameter]
        elif given.WhichOneof("kind") == "task_output_parameter":
            source = given.task_output_parameter
            if put_out is None:
                later.add(name)
                continue
            value = put_out[source.producer_task, source.output_parameter_key]
        else:
            value = _constant(given.runtime_value.constant, task, run)
        values[name] = _typed(f"{task.name}: {name}", value, definitions[name].parameter_type)
    for name, definition in definitions.items():
        if name in values or name in later:
            continue
        if definition.HasField("default_value"):
            values[name] = definition.default_value
        elif not definition.is_optional:
            raise UserError(f"{task.name}: the parameter {name} has neither a value nor a default")
    return values


def _constant(value: Value, task: Task, run: Run) -> Value:
    """Returns the value, or what it stands for if it is a placeholder and nothing else."""
    placeholders = {
        "{{$.pipeline_job_name}}": run.pipeline,
        "{{$.pipeline_job_resource_name}}": f"{run.pipeline}-{run.id[:5]}",
        "{{$.pipeline_job_uuid}}": run.id,
        "{{$.pipeline_task_name}}": task.name,
        "{{$.pipeline_job_create_time_utc}}": run.created,
        "{{$.pipeline_job_schedule_time_utc}}": run.created,
    }
    if value.string_value in placeholders:
        return Value(string_value=placeholders[value.string_value])
    if "{{$." in value.string_value:
        raise UserError(
            f"{task.name}: the backend would leave {value.string_value:.200} as it is; of placeholders a value is one "
            f"alone, and a rehearsal knows {', '.join(placeholders)}"
        )
    return value


def _typed(where: str, value: Value, kind: int) -> Value:
    if value.WhichOneof("kind") == _KINDS[kind]:
        return value
    if kind == _Type.STRING and value.WhichOneof("kind") not in (None, "null_value"):
        plain = json_format.MessageToDict(value)
        return Value(string_value=json.dumps(int(plain) if _is_whole(plain) else plain))
    raise UserError(f"{where} must be a {_Type.ParameterTypeEnum.Name(kind)}. Received: {_shown(value)}")


def _is_whole(value: object) -> bool:
    return isinstance(value, float) and value.is_integer()


def _shown(value: Value) -> str:
    return json.dumps(json_format.MessageToDict(value))
