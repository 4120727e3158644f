"""The Fp16Compressor component: its specification and its constructor."""

from collections.abc import Sequence
from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import Report
from components.fp16_compressor.compressor import TOLERANCE
from components.fp16_compressor.executor import Executor
from components.spent_runs import SPENT_RUNS


class Fp16CompressorSpec(ComponentSpec):
    """The inputs are a float32 model and the examples, the outputs the compressed model and a report."""

    PARAMETERS: ClassVar = {"tolerance": ExecutionParameter(type=float)}
    INPUTS: ClassVar = {
        "float32_model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        **SPENT_RUNS,
    }
    OUTPUTS: ClassVar = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "report": ChannelParameter(type=Report),
    }


class Fp16Compressor(base_component.BaseComponent):
    """Stores the big tensors of a model in float16 and fails when its GAP changes.

    Outputs: `model` (the compressed SavedModel) and `report` (see `CompressionReport`).

        compressor = Fp16Compressor(averager.outputs["model"], example_gen.outputs["examples"])

    Args:
        model: A float32 model of one member.
        examples: SequenceExamples with a split `eval`.
        tolerance: Largest change of GAP that is allowed on 17,600 videos. On n videos, fewer than that, it is
            sqrt(17,600 / n) times as large.
        spent_runs: Outputs `model_run` of the Trainers that the model comes from, of which the snapshots and states are
            removed; the whole training first.
    """

    SPEC_CLASS = Fp16CompressorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: BaseChannel,
        examples: BaseChannel,
        tolerance: float = TOLERANCE,
        spent_runs: Sequence[BaseChannel] = (),
    ) -> None:
        spec = Fp16CompressorSpec(
            tolerance=tolerance,
            float32_model=model,
            examples=examples,
            **dict(zip(SPENT_RUNS, spent_runs, strict=False)),
            model=Channel(type=standard_artifacts.Model),
            report=Channel(type=Report),
        )
        super().__init__(spec=spec)
