"""The ModelServerValidator component: its specification and its constructor."""

from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from components.model_server_validator.executor import Executor


class ModelServerValidatorSpec(ComponentSpec):
    """The inputs are a candidate and the examples, the output is a blessing."""

    PARAMETERS: ClassVar = {}
    INPUTS: ClassVar = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS: ClassVar = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}


class ModelServerValidator(base_component.BaseComponent):
    """Loads a candidate in the embedded server and compares its answers with the model's own.

    TFX's InfraValidator would want Docker or Kubernetes, and does not look at the answers.

    Output: `blessing` (TFX's, and blessing_reasons.json, see `Verdict`).

        validator = ModelServerValidator(assembler.outputs["model"], example_gen.outputs["examples"])

    Args:
        model: The model that is to be pushed.
        examples: SequenceExamples with a split `eval`, from which the requests are made.
    """

    SPEC_CLASS = ModelServerValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, model: BaseChannel, examples: BaseChannel) -> None:
        spec = ModelServerValidatorSpec(
            model=model, examples=examples, blessing=Channel(type=standard_artifacts.InfraBlessing)
        )
        super().__init__(spec=spec)
