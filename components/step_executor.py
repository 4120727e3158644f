"""The executor that this project's own components share: it unpacks artifacts, and a subclass does the work."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.splits import split_files


@dataclass(frozen=True, kw_only=True)
class Step:
    """One execution of a component, as TFX describes it.

    Attributes:
        inputs: The input artifacts by key; an optional input that was not given has no key, or an empty list.
        outputs: The output artifacts by key.
        parameters: The execution properties by name.
    """

    inputs: dict[str, list[Artifact]]
    outputs: dict[str, list[Artifact]]
    parameters: dict[str, Any]

    def input(self, key: str) -> Artifact:
        """Returns the only artifact of an input."""
        return artifact_utils.get_single_instance(self.inputs[key])

    def input_dir(self, key: str) -> str:
        """Returns the directory of the only artifact of an input, local or in a bucket."""
        return self.input(key).uri

    def optional_input_dir(self, key: str) -> str | None:
        """Returns the directory of an input's artifact; None where the pipeline has no such input."""
        return self.input_dir(key) if self.inputs.get(key) else None

    def input_dirs(self, prefix: str) -> list[str]:
        """Returns the directories of the inputs whose keys are the prefix and a number, ordered by the number."""
        keys = sorted(key for key in self.inputs if key.startswith(prefix))
        return [artifact.uri for key in keys for artifact in self.inputs[key]]

    def input_model(self, key: str) -> str:
        """Returns the SavedModel in the model artifact of an input."""
        return path_utils.serving_model_path(self.input_dir(key))

    def files(self, split: str) -> list[str]:
        """Returns the TFRecord files of a split of the input `examples`; UserError when there is none."""
        return split_files(self.inputs["examples"], split)

    def output(self, key: str) -> Artifact:
        """Returns the only artifact of an output."""
        return artifact_utils.get_single_instance(self.outputs[key])

    def output_dir(self, key: str) -> str:
        """Returns the directory of the only artifact of an output."""
        return self.output(key).uri

    def output_model(self, key: str) -> str:
        """Returns the directory in a model artifact that the SavedModel is to be written to."""
        return path_utils.serving_model_dir(self.output_dir(key))


class StepExecutor(base_executor.BaseExecutor):
    """Hands one execution to `run` as a `Step`."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs the step; TFX calls this."""
        self.run(Step(inputs=input_dict, outputs=output_dict, parameters=exec_properties))

    @abstractmethod
    def run(self, step: Step) -> None:
        """Does the work of the component: reads the inputs of the step and fills its outputs."""
