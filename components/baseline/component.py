"""The Baseline component: its specification and its constructor."""

from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts
from tfx.types.channel import Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.baseline.executor import Executor


class BaselineSpec(ComponentSpec):
    """A push destination in, the model served from it out."""

    PARAMETERS: ClassVar = {
        "push_destination": ExecutionParameter(type=str),
        "run_id": ExecutionParameter(type=str),
    }
    INPUTS: ClassVar = {}
    OUTPUTS: ClassVar = {"model": ChannelParameter(type=standard_artifacts.Model)}


class Baseline(base_component.BaseComponent):
    """Reads what is served now. Its output has one artifact, or none on the first run.

    Args:
        push_destination: Directory of the served versions, local or gs://.
        run_id: Different in every run: what is served is no input that TFX's cache knows of.
    """

    SPEC_CLASS = BaselineSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, push_destination: str | RuntimeParameter, run_id: str | RuntimeParameter) -> None:
        spec = BaselineSpec(
            push_destination=push_destination,
            run_id=run_id,
            model=Channel(type=standard_artifacts.Model),
        )
        super().__init__(spec=spec)
