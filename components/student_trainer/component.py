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
    """The inputs are the examples and the soft targets of their videos, the output is the training's run."""

    PARAMETERS: ClassVar = {"config": ExecutionParameter(type=str)}
    INPUTS: ClassVar = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "soft_targets": ChannelParameter(type=SoftTargets),
    }
    OUTPUTS: ClassVar = {"model_run": ChannelParameter(type=standard_artifacts.ModelRun)}


class StudentTrainer(base_component.BaseComponent):
    """Trains a variant towards its labels and what a teacher says. TFX's own Trainer has no input for the latter.

    Output: `model_run`, the run as a Trainer leaves it.

        student = StudentTrainer(
            example_gen.outputs["examples"],
            teacher.outputs["soft_targets"],
            {"variant": "K8-H256", "training": {"steps": 200_000, "distillation": {"weight": 0.5}}},
        )

    Args:
        examples: SequenceExamples with the splits `train` and `eval`.
        soft_targets: Output `soft_targets` of a Teacher that scored the same `train`.
        config: A Trainer's `custom_config` (see `components.trainer.run_fn.CustomConfig`).
    """

    SPEC_CLASS = StudentTrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, examples: BaseChannel, soft_targets: BaseChannel, config: dict[str, Any]) -> None:
        spec = StudentTrainerSpec(
            config=json.dumps(config, sort_keys=True),
            examples=examples,
            soft_targets=soft_targets,
            model_run=Channel(type=standard_artifacts.ModelRun),
        )
        super().__init__(spec=spec)
