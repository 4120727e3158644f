"""The Compressor component: its specification and its constructor."""

from collections.abc import Sequence
from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import Report
from components.compressor.compressor import CALIBRATION_VIDEOS
from components.compressor.executor import Executor
from components.spent_runs import SPENT_RUNS


class CompressorSpec(ComponentSpec):
    """A float32 model and the examples in, the model in several forms and what each of them cost out."""

    PARAMETERS: ClassVar = {
        "ladder": ExecutionParameter(type=str),
        "calibration_videos": ExecutionParameter(type=int),
    }
    INPUTS: ClassVar = {
        "float32_model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        **SPENT_RUNS,
    }
    OUTPUTS: ClassVar = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "report": ChannelParameter(type=Report),
    }


class Compressor(base_component.BaseComponent):
    """Stores the big tensors of a model in several forms, of which the EnsembleAssembler chooses one.

    Outputs: `model`, with a SavedModel for each form (see `components.ladder`), and `report` (`LadderReport`).

        compressor = Compressor(
            averager.outputs["model"], example_gen.outputs["examples"], ladder=["float16", "int8", "int4-b128"]
        )

    Args:
        model: A single float32 model.
        examples: Output `examples` of YouTube8MExampleGen: codecs round by the activations of its split `train`, and
            forms are measured on its split `eval`.
        ladder: Names of stored forms (see `StoredForm.parse`).
        calibration_videos: How many videos of the train split are looked at.
        spent_runs: Outputs `model_run` of the Trainers that the model comes from, of which the snapshots and states are
            removed; the whole training first.
    """

    SPEC_CLASS = CompressorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: BaseChannel,
        examples: BaseChannel,
        ladder: Sequence[str],
        calibration_videos: int = CALIBRATION_VIDEOS,
        spent_runs: Sequence[BaseChannel] = (),
    ) -> None:
        spec = CompressorSpec(
            ladder=",".join(ladder),
            calibration_videos=calibration_videos,
            float32_model=model,
            examples=examples,
            **dict(zip(SPENT_RUNS, spent_runs, strict=False)),
            model=Channel(type=standard_artifacts.Model),
            report=Channel(type=Report),
        )
        super().__init__(spec=spec)
