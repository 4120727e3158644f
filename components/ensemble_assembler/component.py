"""The EnsembleAssembler component: its specification and its constructor."""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import Report
from components.ensemble_assembler.executor import Executor
from components.ensemble_assembler.inputs import MODEL
from trainer.base.units import MIB


class EnsembleAssemblerSpec(ComponentSpec):
    """The inputs are models, each under a key of its own, and the examples, the outputs one model and a report."""

    PARAMETERS: ClassVar = {
        "limit_bytes": ExecutionParameter(type=int),
        "vocabulary": ExecutionParameter(type=str, optional=True),
        # Not read by the executor: TFX's cache goes by it, so that other names under the same path are taken.
        "vocabulary_crc32": ExecutionParameter(type=int, optional=True),
        "names": ExecutionParameter(type=str, optional=True),
    }
    INPUTS: ClassVar = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS: ClassVar = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "report": ChannelParameter(type=Report),
    }


class EnsembleAssembler(base_component.BaseComponent):
    """Finds the best weighted combination of models that fits into the size limit, on the eval split.

    Outputs: `model` (one SavedModel of all members) and `report` (see `EnsembleReport`).

        assembler = EnsembleAssembler(
            [compressor.outputs["model"] for compressor in compressors],
            example_gen.outputs["examples"],
            limit_bytes=1024 * MIB,
        )

    Args:
        models: One channel for each model that may become a member, in one stored form or in several.
        examples: SequenceExamples with a split `eval`.
        limit_bytes: Largest size of the ensemble in bytes; the paper's is 1 GB = 1024 MiB.
        vocabulary: Path of YT-8M's vocabulary.csv, whose class names the ensemble will answer with; None for numbers
            only. Where the file is here when the pipeline is built, other content of it makes a new ensemble.
        names: What the report calls the models, in their order; None for the names of their architectures.
    """

    SPEC_CLASS = EnsembleAssemblerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        models: Sequence[BaseChannel],
        examples: BaseChannel,
        limit_bytes: int = 1024 * MIB,
        vocabulary: str | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        named = vocabulary and os.path.isfile(vocabulary)
        each = {f"{MODEL}{index:03d}": channel for index, channel in enumerate(models)}
        inputs = {
            **EnsembleAssemblerSpec.INPUTS,
            **{key: ChannelParameter(type=standard_artifacts.Model) for key in each},
        }
        # TFX takes a node's keys from its specification's class.
        spec_class = type("EnsembleAssemblerSpec", (EnsembleAssemblerSpec,), {"INPUTS": inputs})
        super().__init__(
            spec=spec_class(
                limit_bytes=limit_bytes,
                vocabulary=vocabulary,
                vocabulary_crc32=zlib.crc32(Path(vocabulary).read_bytes()) if named else None,
                names=",".join(names) if names else None,
                examples=examples,
                model=Channel(type=standard_artifacts.Model),
                report=Channel(type=Report),
                **each,
            )
        )
