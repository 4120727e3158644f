"""The SecondHalf component: its specification and its constructor."""

import json
from typing import Any, ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import Report
from components.second_half.executor import Executor


class SecondHalfSpec(ComponentSpec):
    """The inputs are the examples, the first half's run and the verdicts, the output is the whole training's run."""

    PARAMETERS: ClassVar = {"config": ExecutionParameter(type=str)}
    INPUTS: ClassVar = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "first_half": ChannelParameter(type=standard_artifacts.ModelRun),
        "verdicts": ChannelParameter(type=Report),
    }
    OUTPUTS: ClassVar = {"model_run": ChannelParameter(type=standard_artifacts.ModelRun)}


class SecondHalf(base_component.BaseComponent):
    """Trains the other half of a variant's steps, unless the variant was stopped at half time.

    Output: `model_run`, the run of both halves, or for a stopped variant that of the first.

        second_half = SecondHalf(
            example_gen.outputs["examples"],
            trainer.outputs["model_run"],
            half_time.outputs["report"],
            {"variant": "K24-H1440", "training": {"steps": 200_000}},
        )

    Args:
        examples: The examples that the first half was trained on.
        first_half: Output `model_run` of the Trainer of the first half.
        verdicts: Output `report` of HalfTime.
        config: The Trainer's `custom_config` without `until` (see `components.trainer.run_fn.CustomConfig`).
    """

    SPEC_CLASS = SecondHalfSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, examples: BaseChannel, first_half: BaseChannel, verdicts: BaseChannel, config: dict[str, Any]
    ) -> None:
        spec = SecondHalfSpec(
            config=json.dumps(config, sort_keys=True),
            examples=examples,
            first_half=first_half,
            verdicts=verdicts,
            model_run=Channel(type=standard_artifacts.ModelRun),
        )
        super().__init__(spec=spec)
