"""The CheckpointAverager component: its specification and its constructor."""

from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import Report
from components.checkpoint_averager.config import AveragingConfig
from components.checkpoint_averager.executor import Executor


class CheckpointAveragerSpec(ComponentSpec):
    """The inputs are a Trainer's run and the examples, the outputs the best model and a report of all candidates."""

    PARAMETERS: ClassVar = {"averaging": ExecutionParameter(type=str)}
    INPUTS: ClassVar = {
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS: ClassVar = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "report": ChannelParameter(type=Report),
    }


class CheckpointAverager(base_component.BaseComponent):
    """Finds the best single snapshot or average of snapshots of one variant, on the eval split.

    Outputs: `model` (a float32 SavedModel) and `report` (see `AveragingReport`).

        averager = CheckpointAverager(trainer.outputs["model_run"], example_gen.outputs["examples"])

    Args:
        model_run: Output `model_run` of the variant's Trainer, whose snapshots lie in `snapshots/`.
        examples: SequenceExamples with a split `eval`.
        averaging: Says which single snapshots and which ranges are evaluated; None for the defaults.
    """

    SPEC_CLASS = CheckpointAveragerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, model_run: BaseChannel, examples: BaseChannel, averaging: AveragingConfig | None = None
    ) -> None:
        spec = CheckpointAveragerSpec(
            averaging=(averaging or AveragingConfig()).model_dump_json(),
            model_run=model_run,
            examples=examples,
            model=Channel(type=standard_artifacts.Model),
            report=Channel(type=Report),
        )
        super().__init__(spec=spec)
