"""Builds the pipeline of a recipe as a TFX DAG. Nothing here depends on what will run it.

Node ids are letters, digits and hyphens, exec properties are small and constant, and there is no resolver: the
same DAG compiles for Kubeflow Pipelines.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tfx.dsl.compiler.constants import PIPELINE_RUN_ID_PARAMETER_NAME
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline
from tfx.types.channel import BaseChannel

from components.baseline.component import Baseline
from components.drift.component import DriftCheck
from components.ensemble_assembler.component import EnsembleAssembler
from components.evaluator.component import Evaluator
from components.example_gen.component import YouTube8MExampleGen
from components.example_gen.span_window import SpanWindow
from components.example_validator.component import (
    ValidationSteps,
    validation_steps,
)
from components.model_server_validator.component import ModelServerValidator
from components.pusher.component import Pusher
from components.run_report.component import RunReport
from pipeline.dag.graph import last_nodes, node_graph
from pipeline.dag.model_line import ModelLine, member_names, model_line
from pipeline.dag.teaching import Teaching, teaching_of
from pipeline.dag.trainings import Trainings, in_order, trainings_of
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.sections import span_range


def build_pipeline(
    recipe: Recipe,
    *,
    pipeline_root: str,
    work_root: str | None = None,
    schema_file: str | None = None,
    **pipeline_options: Any,
) -> Pipeline:
    """Returns the pipeline of a recipe.

    Args:
        recipe: What to train, on which data, and where it goes.
        pipeline_root: The directory of the artifacts.
        work_root: The directory from which a killed Trainer goes on; None where a retry finds its own outputs.
        schema_file: The schema of the examples' summaries, at its path on the machine that runs ImportSchemaGen; None
            for the one in this installation.
        pipeline_options: Further arguments of tfx's Pipeline, such as `metadata_connection_config`.
    """
    return Pipeline(
        pipeline_name=recipe.name,
        pipeline_root=pipeline_root,
        components=build_components(recipe, work_root, schema_file),
        enable_cache=True,
        beam_pipeline_args=recipe.beam.pipeline_args,
        **pipeline_options,
    )


def build_components(
    recipe: Recipe, work_root: str | None = None, schema_file: str | None = None
) -> list[BaseComponent]:
    """Returns the components of a recipe's pipeline, in an order in which they can run; see `build_pipeline`."""
    data = recipe.data
    example_gen = YouTube8MExampleGen(
        data.train,
        data.validate_,
        eval_files=data.eval_files,
        eval_share=data.eval_share,
        holdout_files=data.holdout_files,
        seed=data.seed,
        max_reject_share=data.max_reject_share,
        max_lost_files=data.max_lost_files,
        min_eval_videos=data.min_eval_videos,
        num_classes=data.num_classes,
        **_spans(recipe),
        copy=data.copy_,
    )
    examples = example_gen.outputs["examples"]
    validation = validation_steps(example_gen.outputs["summaries"], schema_file)
    trainings = trainings_of(recipe, examples, validation.example_validator, work_root)
    baseline = Baseline(recipe.push.directory, _run_id(), data.num_classes)
    drift = DriftCheck(
        example_gen.outputs["report"],
        baseline.outputs["model"],
        recipe.drift.thresholds,
        stop=recipe.drift.stop,
        vocabulary=data.vocabulary,
    )
    if recipe.drift.stop:
        for trainer in trainings.first:
            trainer.add_upstream_node(drift)
    variants = {
        name: model_line(recipe, name, recipe.training_of(name), trainer, runs, examples)
        for name, trainer, runs in zip(
            recipe.variants_by_name, trainings.trainers, trainings.runs, strict=True
        )
    }
    teaching = teaching_of(
        recipe, examples, validation.example_validator, variants, trainings.folds, work_root
    )
    lines = {**variants, **teaching.students}
    assembler = EnsembleAssembler(
        models=[line.compressor.outputs["model"] for line in lines.values()],
        examples=examples,
        limit_bytes=recipe.ensemble.limit_bytes,
        vocabulary=recipe.data.vocabulary,
        names=member_names(recipe, lines),
    )
    delivery = _delivery(recipe, examples, example_gen, assembler, baseline)
    nodes = [
        example_gen,
        *validation,
        baseline,
        drift,
        *trainings.before,
        *(component for line in in_order(recipe, {**variants, **teaching.folds}) for component in line),
        *teaching.nodes,
        *(component for line in in_order(recipe, teaching.students) for component in line),
        assembler,
        *delivery,
    ]
    nodes = list(dict.fromkeys(nodes))
    report = _report(
        recipe,
        nodes,
        example_gen,
        validation,
        drift,
        trainings,
        teaching,
        lines,
        assembler,
        delivery,
    )
    return [*nodes, report]


def _spans(recipe: Recipe) -> dict[str, SpanWindow | None]:
    """Returns the spans that are trained on and those that are judged on; nothing where it is the newest alone."""
    trained, judged = (SpanWindow(*span_range(text)) for text in (recipe.data.spans, recipe.blessing.spans))
    newest = SpanWindow(0, 1)
    return {} if trained == judged == newest else {"trained": trained, "judged": judged}


class _Delivery(NamedTuple):
    """The components between the assembled ensemble and its directory of versions."""

    evaluator: Evaluator
    server_validator: ModelServerValidator
    pusher: Pusher


def _delivery(
    recipe: Recipe,
    examples: BaseChannel,
    example_gen: YouTube8MExampleGen,
    assembler: EnsembleAssembler,
    baseline: Baseline,
) -> _Delivery:
    model = assembler.outputs["model"]
    evaluator = Evaluator(
        examples=examples,
        model=model,
        baseline_model=baseline.outputs["model"],
        gap_floor=recipe.blessing.gap_floor,
        max_gap_drop=recipe.blessing.max_gap_drop,
        limit_bytes=recipe.ensemble.limit_bytes,
        split=recipe.data.judging_split,
    )
    server_validator = ModelServerValidator(model=model, examples=examples)
    pusher = Pusher(
        model=model,
        model_blessing=evaluator.outputs["blessing"],
        infra_blessing=server_validator.outputs["blessing"],
        push_destination=recipe.push.directory,
        run_id=_run_id(),
        evaluation=evaluator.outputs["evaluation"],
        data=example_gen.outputs["report"],
        ensemble=assembler.outputs["report"],
        model_name=recipe.serving.model_name,
        data_licence=recipe.data.licence,
        model_licence=recipe.push.licence,
        **_device_file(recipe, examples),
    )
    return _Delivery(evaluator, server_validator, pusher)


def _device_file(recipe: Recipe, examples: BaseChannel) -> dict[str, Any]:
    """The Pusher's arguments for a LiteRT file; none where the recipe wants no such file."""
    if not recipe.push.litert:
        return {}
    return {
        "litert_weights": recipe.push.litert_weights.value,
        "examples": examples,
        "split": recipe.data.judging_split,
    }


def _report(
    recipe: Recipe,
    nodes: list[BaseComponent],
    example_gen: YouTube8MExampleGen,
    validation: ValidationSteps,
    drift: DriftCheck,
    trainings: Trainings,
    teaching: Teaching,
    lines: Mapping[str, ModelLine],
    assembler: EnsembleAssembler,
    delivery: _Delivery,
) -> RunReport:
    """Returns the component that writes the page of what all nodes reported."""
    graph = node_graph(nodes)
    graph[RunReport.__name__] = last_nodes(graph)
    return RunReport(
        recipe=recipe.model_dump_json(exclude_defaults=True, by_alias=True),
        graph=json.dumps(graph, separators=(",", ":")),
        run_id=_run_id(),
        names=list(lines),
        data=example_gen.outputs["report"],
        statistics=validation.statistics_gen.outputs["statistics"],
        anomalies=validation.example_validator.outputs["anomalies"],
        teacher=teaching.teacher and teaching.teacher.outputs["report"],
        drift=drift.outputs["report"],
        half_time=trainings.half_time and trainings.half_time.outputs["report"],
        training=[line.trainer.outputs["model_run"] for line in lines.values()],
        averaging=[line.averager.outputs["report"] for line in lines.values()],
        compression=[line.compressor.outputs["report"] for line in lines.values()],
        ensemble=assembler.outputs["report"],
        evaluation=delivery.evaluator.outputs["evaluation"],
        blessing=delivery.evaluator.outputs["blessing"],
        infra_blessing=delivery.server_validator.outputs["blessing"],
        pushed_model=delivery.pusher.outputs["pushed_model"],
    )


def _run_id() -> RuntimeParameter:
    return RuntimeParameter(name=PIPELINE_RUN_ID_PARAMETER_NAME, ptype=str)
