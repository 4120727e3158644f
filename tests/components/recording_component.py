"""A component with an optional model, as the Evaluator has its baseline, that records what it is given."""

import json
import os
from typing import Any, ClassVar

from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import Artifact, standard_artifacts
from tfx.types import standard_component_specs as keys
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from components.artifacts import Report

RECORD = "given.json"


class _Executor(base_executor.BaseExecutor):
    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        given = [
            {"uri": model.uri, "version": model.get_int_custom_property("served_version")}
            for model in input_dict.get(keys.BASELINE_MODEL_KEY, [])
        ]
        with open(os.path.join(output_dict["report"][0].uri, RECORD), "w", encoding="utf-8") as file:
            json.dump(given, file)


class _Spec(ComponentSpec):
    PARAMETERS: ClassVar = {}
    INPUTS: ClassVar = {
        keys.BASELINE_MODEL_KEY: ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS: ClassVar = {"report": ChannelParameter(type=Report)}


class Recorder(base_component.BaseComponent):
    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(_Executor)

    def __init__(self, baseline_model: BaseChannel) -> None:
        super().__init__(spec=_Spec(baseline_model=baseline_model, report=Channel(type=Report)))
