"""The Pusher component: its specification and its constructor."""

from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import Report
from components.pusher.executor import Executor


class PusherSpec(ComponentSpec):
    """The inputs are a candidate, its two blessings and what its card tells of it, the output is what was pushed."""

    PARAMETERS: ClassVar = {
        "push_destination": ExecutionParameter(type=str),
        "run_id": ExecutionParameter(type=str),
        "model_name": ExecutionParameter(type=str),
        "data_licence": ExecutionParameter(type=str),
        "model_licence": ExecutionParameter(type=str, optional=True),
        "litert_weights": ExecutionParameter(type=str, optional=True),
        "split": ExecutionParameter(type=str, optional=True),
    }
    INPUTS: ClassVar = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing),
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation, optional=True),
        "data": ChannelParameter(type=Report, optional=True),
        "examples": ChannelParameter(type=standard_artifacts.Examples, optional=True),
        "ensemble": ChannelParameter(type=Report, optional=True),
    }
    OUTPUTS: ClassVar = {"pushed_model": ChannelParameter(type=standard_artifacts.PushedModel)}


class Pusher(base_component.BaseComponent):
    """Publishes a model that both judges blessed as the next integer version.

    TFX's own Pusher writes into the live directory file by file, names versions by the second, and counts a directory
    that happens to exist as pushed.

    Output: `pushed_model`, with pushed.json (see `PushResult`).

        pusher = Pusher(
            assembler.outputs["model"],
            evaluator.outputs["blessing"],
            validator.outputs["blessing"],
            push_destination="gs://models/yt8m",
            run_id=RuntimeParameter("pipeline-run-id", str),
            model_name="yt8m",
            data_licence="CC BY 4.0",
        )

    Args:
        model: The model that is to be pushed.
        model_blessing: Output `blessing` of the Evaluator.
        infra_blessing: Output `blessing` of the ModelServerValidator.
        push_destination: Directory of the served versions, local or gs://.
        run_id: Id of the run. It differs from run to run, so that TFX's cache never answers for this step: a cached
            push would say that a model is served which is there no longer. Pushing again what is served already adds
            nothing.
        model_name: The name that requests to the server ask for. The model card shows it.
        data_licence: Licence of the data that the model was trained on, for the model card.
        model_licence: Licence of the model, for the model card; None where it has none yet.
        evaluation: Output `evaluation` of the Evaluator, for the model card; None for a card without metrics.
        data: Output `report` of the YouTube8MExampleGen, for the model card and the reference of later comparisons;
            None for a card that does not describe the data.
        litert_weights: How the weights of a LiteRT file are stored that goes with the version
            (`serving.export.device_weights.DeviceWeights`); None for no such file.
        examples: Output `examples` of the YouTube8MExampleGen, which that file is checked with.
        split: Name of the split of the examples that it is checked with.
        ensemble: Output `report` of the EnsembleAssembler, for the reference; None for one without predictions.
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: BaseChannel,
        model_blessing: BaseChannel,
        infra_blessing: BaseChannel,
        push_destination: str | RuntimeParameter,
        run_id: str | RuntimeParameter,
        *,
        model_name: str,
        data_licence: str,
        model_licence: str | None = None,
        evaluation: BaseChannel | None = None,
        data: BaseChannel | None = None,
        litert_weights: str | None = None,
        examples: BaseChannel | None = None,
        split: str | None = None,
        ensemble: BaseChannel | None = None,
    ) -> None:
        spec = PusherSpec(
            push_destination=push_destination,
            run_id=run_id,
            model_name=model_name,
            data_licence=data_licence,
            model_licence=model_licence,
            model=model,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            evaluation=evaluation,
            data=data,
            litert_weights=litert_weights,
            examples=examples,
            split=split,
            ensemble=ensemble,
            pushed_model=Channel(type=standard_artifacts.PushedModel),
        )
        super().__init__(spec=spec)
