"""Builds the pipeline of a recipe as a TFX DAG. Nothing here depends on what will run it.

Node ids are letters, digits and hyphens, exec properties are small and constant, and there is no resolver: the
same DAG compiles for Kubeflow Pipelines.
"""

import json
from typing import Any, NamedTuple

from tfx.components import Trainer
from tfx.dsl.compiler.constants import PIPELINE_RUN_ID_PARAMETER_NAME
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline
from tfx.types.channel import BaseChannel

from components.baseline.component import Baseline
from components.checkpoint_averager.component import CheckpointAverager
from components.compressor.component import Compressor
from components.ensemble_assembler.component import EnsembleAssembler
from components.evaluator.component import Evaluator
from components.example_gen.component import YouTube8MExampleGen
from components.example_validator.component import (
    ValidationSteps,
    validation_steps,
)
from components.fp16_compressor.component import Fp16Compressor
from components.model_server_validator.component import ModelServerValidator
from components.pusher.component import Pusher
from components.run_report.component import RunReport
from components.second_half.component import SecondHalf
from pipeline.dag.graph import last_nodes, node_graph
from pipeline.dag.trainings import Trainings, in_order, trainings_of
from pipeline.recipe.recipe import Recipe
from trainer.model.architectures import Architecture


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
        recipe: The recipe.
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
    )
    examples = example_gen.outputs["examples"]
    validation = validation_steps(example_gen.outputs["summaries"], schema_file)
    trainings = trainings_of(recipe, examples, validation.example_validator, work_root)
    lines = [
        _variant_line(recipe, variant, trainer, runs, examples)
        for variant, trainer, runs in zip(recipe.variants, trainings.trainers, trainings.runs, strict=True)
    ]
    assembler = EnsembleAssembler(
        models=[line.compressor.outputs["model"] for line in lines],
        examples=examples,
        limit_bytes=recipe.ensemble.limit_bytes,
        vocabulary=recipe.data.vocabulary,
    )
    delivery = _delivery(recipe, examples, example_gen, assembler)
    nodes = [
        example_gen,
        *validation,
        *trainings.before,
        *(component for line in in_order(recipe, lines) for component in line),
        assembler,
        *delivery,
    ]
    report = _report(recipe, nodes, example_gen, validation, trainings, lines, assembler, delivery)
    return [*nodes, report]


class _VariantLine(NamedTuple):
    """The components of one variant."""

    trainer: Trainer | SecondHalf
    averager: CheckpointAverager
    compressor: Compressor | Fp16Compressor


def _variant_line(
    recipe: Recipe,
    variant: Architecture,
    trainer: Trainer | SecondHalf,
    runs: list[BaseChannel],
    examples: BaseChannel,
) -> _VariantLine:
    averager = CheckpointAverager(model_run=runs[0], examples=examples, averaging=recipe.averaging).with_id(
        f"CheckpointAverager-{variant}"
    )
    spent = [] if recipe.training_of(variant).keep_snapshots else runs
    compressor = _compressor(recipe, variant, averager.outputs["model"], examples, spent)
    return _VariantLine(trainer, averager, compressor)


def _compressor(
    recipe: Recipe,
    variant: Architecture,
    model: BaseChannel,
    examples: BaseChannel,
    spent_runs: list[BaseChannel],
) -> Compressor | Fp16Compressor:
    """A ladder of forms where the recipe asks for one, and else the paper's float16."""
    compression = recipe.compression
    if not compression.ladder:
        return Fp16Compressor(
            model=model, examples=examples, tolerance=compression.tolerance, spent_runs=spent_runs
        ).with_id(f"Fp16Compressor-{variant}")
    return Compressor(
        model=model,
        examples=examples,
        ladder=[form.name for form in compression.ladder],
        calibration_videos=compression.calibration_videos,
        spent_runs=spent_runs,
    ).with_id(f"Compressor-{variant}")


class _Delivery(NamedTuple):
    """The components between the assembled ensemble and its directory of versions."""

    baseline: Baseline
    evaluator: Evaluator
    server_validator: ModelServerValidator
    pusher: Pusher


def _delivery(
    recipe: Recipe,
    examples: BaseChannel,
    example_gen: YouTube8MExampleGen,
    assembler: EnsembleAssembler,
) -> _Delivery:
    model = assembler.outputs["model"]
    baseline = Baseline(push_destination=recipe.push.directory, run_id=_run_id())
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
        model_name=recipe.serving.model_name,
        data_licence=recipe.data.licence,
    )
    return _Delivery(baseline, evaluator, server_validator, pusher)


def _report(
    recipe: Recipe,
    nodes: list[BaseComponent],
    example_gen: YouTube8MExampleGen,
    validation: ValidationSteps,
    trainings: Trainings,
    lines: list[_VariantLine],
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
        data=example_gen.outputs["report"],
        statistics=validation.statistics_gen.outputs["statistics"],
        anomalies=validation.example_validator.outputs["anomalies"],
        half_time=trainings.half_time and trainings.half_time.outputs["report"],
        training=[line.trainer.outputs["model_run"] for line in lines],
        averaging=[line.averager.outputs["report"] for line in lines],
        compression=[line.compressor.outputs["report"] for line in lines],
        ensemble=assembler.outputs["report"],
        evaluation=delivery.evaluator.outputs["evaluation"],
        blessing=delivery.evaluator.outputs["blessing"],
        infra_blessing=delivery.server_validator.outputs["blessing"],
        pushed_model=delivery.pusher.outputs["pushed_model"],
    )


def _run_id() -> RuntimeParameter:
    return RuntimeParameter(name=PIPELINE_RUN_ID_PARAMETER_NAME, ptype=str)
