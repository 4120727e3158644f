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
    """Examples, the first half's run and the verdicts in, the run of the whole training out."""

    PARAMETERS: ClassVar = {"config": ExecutionParameter(type=str)}
    INPUTS: ClassVar = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "first_half": ChannelParameter(type=standard_artifacts.ModelRun),
        "verdicts": ChannelParameter(type=Report),
    }
    OUTPUTS: ClassVar = {"model_run": ChannelParameter(type=standard_artifacts.ModelRun)}


class SecondHalf(base_component.BaseComponent):
    """Trains the other half of a variant's steps, unless the variant was stopped at half time.

    Args:
        examples: That the first half was trained on.
        first_half: The Trainer's `model_run`.
        verdicts: The HalfTime's `report`.
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
