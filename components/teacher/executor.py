"""The Teacher's executor: unpacks artifacts and calls."""

from typing import Any

from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import Artifact
from tfx.utils import path_utils

from components.step_executor import Step
from components.teacher.config import TeacherConfig
from components.teacher.inputs import MODEL
from components.teacher.teaching import teach
from serving.store.model_store import whole_model_path


class Executor(BaseBeamExecutor):
    """Scores the train split; see `teach`."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the soft targets and the report."""
        step = Step(inputs=input_dict, outputs=output_dict, parameters=exec_properties)
        directory = step.parameters.get("directory")
        models = (
            [whole_model_path(directory)]
            if directory
            else [path_utils.serving_model_path(uri) for uri in step.input_dirs(MODEL)]
        )
        report = teach(
            models,
            step.files("train"),
            step.output_dir("soft_targets"),
            TeacherConfig.model_validate_json(step.parameters["config"]),
            self._make_beam_pipeline,
            step.parameters.get("work_dir"),
        )
        report.write(step.output_dir("report"))
