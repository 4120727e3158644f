"""The EnsembleAssembler component: its specification and its constructor."""

from collections.abc import Sequence
from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.channel_utils import union
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import Report
from components.ensemble_assembler.executor import Executor
from trainer.variant import MIB


class EnsembleAssemblerSpec(ComponentSpec):
    """Models and the examples in, one model and what was considered out."""

    PARAMETERS: ClassVar = {
        "limit_bytes": ExecutionParameter(type=int),
        "vocabulary": ExecutionParameter(type=str, optional=True),
    }
    INPUTS: ClassVar = {
        "models": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS: ClassVar = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "report": ChannelParameter(type=Report),
    }


class EnsembleAssembler(base_component.BaseComponent):
    """Finds the best weighted combination of models that fits into the size limit, on the eval split.

    Args:
        models: One channel a model.
        examples: With a split `eval`.
        limit_bytes: Largest size; the paper's is 1 GB = 1024 MiB.
        vocabulary: Path of YT-8M's vocabulary.csv, whose names the ensemble shall answer with.
    """

    SPEC_CLASS = EnsembleAssemblerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        models: Sequence[BaseChannel],
        examples: BaseChannel,
        limit_bytes: int = 1024 * MIB,
        vocabulary: str | None = None,
    ) -> None:
        spec = EnsembleAssemblerSpec(
            limit_bytes=limit_bytes,
            vocabulary=vocabulary,
            models=union(models) if len(models) > 1 else models[0],
            examples=examples,
            model=Channel(type=standard_artifacts.Model),
            report=Channel(type=Report),
        )
        super().__init__(spec=spec)
