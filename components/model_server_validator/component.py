"""The ModelServerValidator component: its specification and its constructor."""

from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from components.model_server_validator.executor import Executor


class ModelServerValidatorSpec(ComponentSpec):
    """A candidate and the examples in, a blessing out."""

    PARAMETERS: ClassVar = {}
    INPUTS: ClassVar = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS: ClassVar = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}


class ModelServerValidator(base_component.BaseComponent):
    """Loads a candidate in the embedded server and compares its answers with the model's own.

    TFX's InfraValidator would want Docker or Kubernetes, and does not look at the answers.

    Args:
        model: The candidate.
        examples: With a split `eval`.
    """

    SPEC_CLASS = ModelServerValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, model: BaseChannel, examples: BaseChannel) -> None:
        spec = ModelServerValidatorSpec(
            model=model, examples=examples, blessing=Channel(type=standard_artifacts.InfraBlessing)
        )
        super().__init__(spec=spec)
