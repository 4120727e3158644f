"""The RunReport component: its specification and its constructor."""

import json
from collections.abc import Sequence
from typing import ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import standard_artifacts
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import HtmlPage, Metrics, Report
from components.run_report.executor import Executor
from components.run_report.inputs import AVERAGING, COMPRESSION, TRAINING


class RunReportSpec(ComponentSpec):
    """The part of the specification that is the same for any number of variants; every input may be missing."""

    PARAMETERS: ClassVar = {
        "recipe": ExecutionParameter(type=str),
        "graph": ExecutionParameter(type=str),
        "names": ExecutionParameter(type=str),
        "run_id": ExecutionParameter(type=str),
    }
    INPUTS: ClassVar = {
        "data": ChannelParameter(type=Report, optional=True),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
        "anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies, optional=True),
        "drift": ChannelParameter(type=Report, optional=True),
        "half_time": ChannelParameter(type=Report, optional=True),
        "teacher": ChannelParameter(type=Report, optional=True),
        "ensemble": ChannelParameter(type=Report, optional=True),
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation, optional=True),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing, optional=True),
        "push": ChannelParameter(type=standard_artifacts.PushedModel, optional=True),
    }
    OUTPUTS: ClassVar = {
        "report": ChannelParameter(type=Report),
        "page": ChannelParameter(type=HtmlPage),
        "metrics": ChannelParameter(type=Metrics),
    }


class RunReport(base_component.BaseComponent):
    """Puts the reports of a run together.

    Outputs: `report` (report.json, report.md, report.html), `page` (the HTML file alone, which Kubeflow Pipelines
    shows) and `metrics` (GAP and sizes, which Kubeflow Pipelines lists).

        run_report = RunReport(
            recipe='{"name": "demo", "variants": ["K24-H1440"]}',
            graph='{"YouTube8MExampleGen": [], "RunReport": ["YouTube8MExampleGen"]}',
            run_id=RuntimeParameter("pipeline-run-id", str),
            data=example_gen.outputs["report"],
        )

    Args:
        recipe: The recipe as JSON, with at least its `name`.
        graph: The pipeline's graph as JSON, from the id of each node to the ids of the nodes that it waits for. This
            component is the last node.
        run_id: Id of the run.
        names: What reports call the models, in the order of `training`, `averaging` and `compression`.
        data: Output `report` of the YouTube8MExampleGen.
        statistics: Output `statistics` of the StatisticsGen.
        anomalies: Output `anomalies` of the ExampleValidator.
        drift: Output `report` of DriftCheck.
        half_time: Output `report` of HalfTime; None where every variant is trained to the end.
        teacher: Output `report` of the Teacher; None without students.
        training: Output `model_run` of each Trainer.
        averaging: Output `report` of each CheckpointAverager.
        compression: Output `report` of each Fp16Compressor or Compressor.
        ensemble: Output `report` of the EnsembleAssembler.
        evaluation: Output `evaluation` of the Evaluator.
        blessing: Output `blessing` of the Evaluator.
        infra_blessing: Output `blessing` of the ModelServerValidator.
        pushed_model: Output `pushed_model` of the Pusher.
    """

    SPEC_CLASS = RunReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        *,
        recipe: str,
        graph: str,
        run_id: str | RuntimeParameter,
        names: Sequence[str] = (),
        data: BaseChannel | None = None,
        statistics: BaseChannel | None = None,
        anomalies: BaseChannel | None = None,
        drift: BaseChannel | None = None,
        half_time: BaseChannel | None = None,
        teacher: BaseChannel | None = None,
        training: Sequence[BaseChannel] = (),
        averaging: Sequence[BaseChannel] = (),
        compression: Sequence[BaseChannel] = (),
        ensemble: BaseChannel | None = None,
        evaluation: BaseChannel | None = None,
        blessing: BaseChannel | None = None,
        infra_blessing: BaseChannel | None = None,
        pushed_model: BaseChannel | None = None,
    ) -> None:
        each, inputs = {}, dict(RunReportSpec.INPUTS)
        for prefix, kind, channels in (
            (TRAINING, standard_artifacts.ModelRun, training),
            (AVERAGING, Report, averaging),
            (COMPRESSION, Report, compression),
        ):
            for index, channel in enumerate(channels):
                each[f"{prefix}{index:03d}"] = channel
                inputs[f"{prefix}{index:03d}"] = ChannelParameter(type=kind)
        # TFX takes a node's keys from its specification's class.
        spec_class = type("RunReportSpec", (RunReportSpec,), {"INPUTS": inputs})
        super().__init__(
            spec=spec_class(
                recipe=recipe,
                graph=graph,
                run_id=run_id,
                names=json.dumps(list(names)),
                data=data,
                statistics=statistics,
                anomalies=anomalies,
                drift=drift,
                half_time=half_time,
                teacher=teacher,
                ensemble=ensemble,
                evaluation=evaluation,
                blessing=blessing,
                infra_blessing=infra_blessing,
                push=pushed_model,
                report=Channel(type=Report),
                page=Channel(type=HtmlPage),
                metrics=Channel(type=Metrics),
                **each,
            )
        )
