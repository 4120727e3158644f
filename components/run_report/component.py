"""The RunReport component: its specification and its constructor."""

from collections.abc import Sequence
from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from components.artifacts import Report
from components.run_report.executor import Executor
from components.run_report.inputs import AVERAGING, COMPRESSION


class RunReportSpec(ComponentSpec):
    """All that is the same for any number of variants; every input may be missing."""

    PARAMETERS: ClassVar = {}
    INPUTS: ClassVar = {
        "data": ChannelParameter(type=Report, optional=True),
        "ensemble": ChannelParameter(type=Report, optional=True),
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation, optional=True),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing, optional=True),
        "push": ChannelParameter(type=standard_artifacts.PushedModel, optional=True),
    }
    OUTPUTS: ClassVar = {"report": ChannelParameter(type=Report)}


class RunReport(base_component.BaseComponent):
    """Puts the reports of a run together: report.json and report.md, with the tables of members and ensembles.

    Args:
        data: Of the YouTube8MExampleGen.
        averaging: Of the CheckpointAveragers, one a variant.
        compression: Of the Fp16Compressors, one a variant.
        ensemble: Of the EnsembleAssembler.
        evaluation: The Evaluator's.
        blessing: The Evaluator's.
        infra_blessing: The ModelServerValidator's.
        pushed_model: The Pusher's.
    """

    SPEC_CLASS = RunReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        data: BaseChannel | None = None,
        averaging: Sequence[BaseChannel] = (),
        compression: Sequence[BaseChannel] = (),
        ensemble: BaseChannel | None = None,
        evaluation: BaseChannel | None = None,
        blessing: BaseChannel | None = None,
        infra_blessing: BaseChannel | None = None,
        pushed_model: BaseChannel | None = None,
    ) -> None:
        each = {
            f"{prefix}{index:03d}": channel
            for prefix, channels in ((AVERAGING, averaging), (COMPRESSION, compression))
            for index, channel in enumerate(channels)
        }
        inputs = {**RunReportSpec.INPUTS, **{key: ChannelParameter(type=Report) for key in each}}
        # TFX takes a node's keys from its specification's class.
        spec_class = type("RunReportSpec", (RunReportSpec,), {"INPUTS": inputs})
        super().__init__(
            spec=spec_class(
                data=data,
                ensemble=ensemble,
                evaluation=evaluation,
                blessing=blessing,
                infra_blessing=infra_blessing,
                push=pushed_model,
                report=Channel(type=Report),
                **each,
            )
        )
