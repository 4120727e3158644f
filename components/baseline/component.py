"""The Baseline component: its specification and its constructor."""

from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts
from tfx.types.channel import Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.baseline.executor import Executor


class BaselineSpec(ComponentSpec):
    """The input is a push destination, the output the model that is served from it."""

    PARAMETERS: ClassVar = {
        "push_destination": ExecutionParameter(type=str),
        "run_id": ExecutionParameter(type=str),
        "num_classes": ExecutionParameter(type=int, optional=True),
    }
    INPUTS: ClassVar = {}
    OUTPUTS: ClassVar = {"model": ChannelParameter(type=standard_artifacts.Model)}


class Baseline(base_component.BaseComponent):
    """Copies the model that is served now, so that the Evaluator can compare a candidate with it.

    Output: `model`, one artifact, or none where nothing is served yet.

        baseline = Baseline("gs://models/yt8m", RuntimeParameter("pipeline-run-id", str))
        evaluator = Evaluator(..., baseline_model=baseline.outputs["model"])

    Args:
        push_destination: Directory of the served versions, local or gs://.
        run_id: Id of the run. It differs from run to run, so that TFX's cache, which does not know what is served,
            never answers for this step.
        num_classes: Number of classes of the candidates; None to hand out a model of any.
    """

    SPEC_CLASS = BaselineSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        push_destination: str | RuntimeParameter,
        run_id: str | RuntimeParameter,
        num_classes: int | None = None,
    ) -> None:
        spec = BaselineSpec(
            push_destination=push_destination,
            run_id=run_id,
            num_classes=num_classes,
            model=Channel(type=standard_artifacts.Model),
        )
        super().__init__(spec=spec)
