"""The HalfTime component: its specification and its constructor."""

from collections.abc import Sequence
from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import Report
from components.half_time.executor import FIRST_HALF, Executor


class HalfTimeSpec(ComponentSpec):
    """The first halves, each under a key of its own, in; the verdicts out."""

    PARAMETERS: ClassVar = {"lead": ExecutionParameter(type=float)}
    INPUTS: ClassVar = {}
    OUTPUTS: ClassVar = {"report": ChannelParameter(type=Report)}


class HalfTime(base_component.BaseComponent):
    """Decides which variants are trained to the end; see `components.half_time.rule`.

    Args:
        first_halves: Runs of Trainers that ended at half time, one channel a variant.
        lead: Difference of GAP that is not taken for noise.
    """

    SPEC_CLASS = HalfTimeSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, first_halves: Sequence[BaseChannel], lead: float) -> None:
        each = {f"{FIRST_HALF}{index:03d}": channel for index, channel in enumerate(first_halves)}
        inputs = {key: ChannelParameter(type=standard_artifacts.ModelRun) for key in each}
        # TFX takes a node's keys from its specification's class.
        spec_class = type("HalfTimeSpec", (HalfTimeSpec,), {"INPUTS": inputs})
        super().__init__(spec=spec_class(lead=lead, report=Channel(type=Report), **each))
