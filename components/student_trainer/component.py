"""The StudentTrainer component: its specification and its constructor."""

import json
from typing import Any, ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import SoftTargets
from components.student_trainer.executor import Executor


class StudentTrainerSpec(ComponentSpec):
    """The inputs are the examples and what teaches, the output is the training's run."""

    PARAMETERS: ClassVar = {
        "config": ExecutionParameter(type=str),
        "directory": ExecutionParameter(type=str, optional=True),
    }
    INPUTS: ClassVar = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "soft_targets": ChannelParameter(type=SoftTargets, optional=True),
        "teacher": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS: ClassVar = {"model_run": ChannelParameter(type=standard_artifacts.ModelRun)}


class StudentTrainer(base_component.BaseComponent):
    """Trains a variant towards its labels and what a teacher says. TFX's own Trainer has no input for the latter.

    It is taught by soft targets or, where its settings say `consistent`, by the teacher itself.

    Output: `model_run`, the run as a Trainer leaves it.

        student = StudentTrainer(
            example_gen.outputs["examples"],
            {"variant": "K8-H256", "training": {"steps": 200_000, "distillation": {"weight": 0.5}}},
            soft_targets=teacher.outputs["soft_targets"],
        )

    Args:
        examples: SequenceExamples with the splits `train` and `eval`.
        config: A Trainer's `custom_config` (see `components.trainer.run_fn.CustomConfig`).
        soft_targets: Output `soft_targets` of a Teacher that scored the same `train`.
        teacher: Output `model` of an EnsembleAssembler: a consistent teacher.
        directory: Directory of a SavedModel of this project, or of versions of one, in place of `teacher`.
    """

    SPEC_CLASS = StudentTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        config: dict[str, Any],
        *,
        soft_targets: BaseChannel | None = None,
        teacher: BaseChannel | None = None,
        directory: str | None = None,
    ) -> None:
        spec = StudentTrainerSpec(
            config=json.dumps(config, sort_keys=True),
            directory=directory,
            examples=examples,
            soft_targets=soft_targets,
            teacher=teacher,
            model_run=Channel(type=standard_artifacts.ModelRun),
        )
        super().__init__(spec=spec)
