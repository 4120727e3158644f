"""The Teacher component: its specification and its constructor."""

from collections.abc import Sequence
from typing import ClassVar

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import Report, SoftTargets
from components.teacher.config import TeacherConfig
from components.teacher.executor import Executor
from components.teacher.inputs import MODEL


class TeacherSpec(ComponentSpec):
    """The inputs are the examples and models, each under a key of its own, the outputs soft targets and a report."""

    PARAMETERS: ClassVar = {
        "config": ExecutionParameter(type=str),
        "directory": ExecutionParameter(type=str, optional=True),
        "work_dir": ExecutionParameter(type=str, optional=True),
    }
    INPUTS: ClassVar = {"examples": ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS: ClassVar = {
        "soft_targets": ChannelParameter(type=SoftTargets),
        "report": ChannelParameter(type=Report),
    }


class Teacher(base_beam_component.BaseBeamComponent):
    """Writes what a model says of each video of the train split.

    Outputs: `soft_targets` (see `trainer.data.soft_targets`) and `report` (see `TeacherReport`).

        teacher = Teacher(example_gen.outputs["examples"], [assembler.outputs["model"]])

    Args:
        examples: SequenceExamples with a split `train`.
        models: One channel, whose model scores all files; or several, of which the one with number i scores the files
            i, i + n, ... that it was not trained on. Empty where `directory` is given.
        config: What is kept of the scores; None for the defaults.
        directory: Directory of a SavedModel of this project or of its versions, which scores in place of `models`.
            TFX's cache goes by the address, so name a version.
        work_dir: Local directory from which a killed attempt goes on; None where a retry finds its own outputs.
    """

    SPEC_CLASS = TeacherSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: BaseChannel,
        models: Sequence[BaseChannel] = (),
        config: TeacherConfig | None = None,
        directory: str | None = None,
        work_dir: str | None = None,
    ) -> None:
        each = {f"{MODEL}{index:03d}": channel for index, channel in enumerate(models)}
        inputs = {
            **TeacherSpec.INPUTS,
            **{key: ChannelParameter(type=standard_artifacts.Model) for key in each},
        }
        # TFX takes a node's keys from its specification's class.
        spec_class = type("TeacherSpec", (TeacherSpec,), {"INPUTS": inputs})
        super().__init__(
            spec=spec_class(
                config=(config or TeacherConfig()).model_dump_json(),
                directory=directory,
                work_dir=work_dir,
                examples=examples,
                soft_targets=Channel(type=SoftTargets),
                report=Channel(type=Report),
                **each,
            )
        )
