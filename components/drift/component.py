"""DriftCheck: its specification and its constructor."""

import json
from collections.abc import Mapping
from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import Report
from components.drift.executor import Executor


class DriftCheckSpec(ComponentSpec):
    """The inputs are ExampleGen's report and the served model, the output is what differs."""

    PARAMETERS: ClassVar = {
        "thresholds": ExecutionParameter(type=str),
        "stop": ExecutionParameter(type=int),
        "vocabulary": ExecutionParameter(type=str, optional=True),
    }
    INPUTS: ClassVar = {
        "data": ChannelParameter(type=Report),
        "baseline": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS: ClassVar = {"report": ChannelParameter(type=Report)}


class DriftCheck(base_component.BaseComponent):
    """Compares the videos of the newest span with those that the served model was trained on.

    Output: `report` (see `DriftReport`).

        drift = DriftCheck(example_gen.outputs["report"], baseline.outputs["model"], {"classes": 0.02})

    Args:
        data: Output `report` of the YouTube8MExampleGen.
        baseline: Output `model` of the Baseline. Versions that earlier releases pushed do not say what they were
            trained on, and nothing is compared then.
        thresholds: See `components.drift.comparison.compare`.
        stop: Whether drift ends the run with an error.
        vocabulary: YT-8M's vocabulary.csv, local or gs://, for the names of the classes.
    """

    SPEC_CLASS = DriftCheckSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        data: BaseChannel,
        baseline: BaseChannel,
        thresholds: Mapping[str, float],
        stop: bool = False,
        vocabulary: str | None = None,
    ) -> None:
        spec = DriftCheckSpec(
            data=data,
            baseline=baseline,
            thresholds=json.dumps(dict(thresholds)),
            stop=int(stop),
            vocabulary=vocabulary,
            report=Channel(type=Report),
        )
        super().__init__(spec=spec)
