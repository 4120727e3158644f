"""A recipe's pipeline as the two YAML documents that open-source Kubeflow Pipelines takes."""

from dataclasses import dataclass
from typing import Any

import yaml
from tfx.dsl.compiler.constants import PIPELINE_RUN_ID_PARAMETER_NAME
from tfx.dsl.components.base.executor_spec import BeamExecutorSpec
from tfx.orchestration.kubeflow.v2.kubeflow_v2_dag_runner import (
    KubeflowV2DagRunner,
    KubeflowV2DagRunnerConfig,
)

from pipeline.dag.build import build_pipeline
from pipeline.dag.trainer_order import trainer_nodes
from pipeline.kubeflow import spec_edits
from pipeline.kubeflow.checks import check_gpus, check_places, check_spec
from pipeline.kubeflow.installed import installed_file
from pipeline.kubeflow.platform import platform_document
from pipeline.kubeflow.sizing import step_resources
from pipeline.kubeflow.spec_edits import RetryPolicy
from pipeline.recipe.recipe import Recipe

ENTRY_POINT = ("python", "-m", "pipeline.kubeflow.entry_point")

UNCACHED = ("YouTube8MExampleGen", "Baseline", "Pusher")
"""They read files, or the served model, of which the cache's key knows nothing."""

ROOT_PARAMETERS = {
    "max_reject_share": ("YouTube8MExampleGen",),
    "push_destination": ("Baseline", "Pusher"),
    "limit_bytes": ("EnsembleAssembler", "Evaluator"),
}
"""Exec properties that a run or a schedule may set otherwise than the recipe, and whose they are."""


@dataclass(frozen=True)
class CompiledPipeline:
    """The two documents, as plain values.

    Attributes:
        spec: PipelineSpec 2.1.0.
        platform: Node pools, volumes and so on.
    """

    spec: dict[str, Any]
    platform: dict[str, Any]

    def to_yaml(self) -> str:
        """Both documents; the same text for the same recipe, image and root."""
        return yaml.safe_dump_all([self.spec, self.platform], sort_keys=True, width=110)


def compile_pipeline(recipe: Recipe, image: str, pipeline_root: str) -> CompiledPipeline:
    """Compiles and checks.

    Args:
        recipe: Its paths must be what pods see: gs:// or below `kubernetes.volumes`.
        image: Of every step, with its tag.
        pipeline_root: gs:// directory of the artifacts of runs that name none.

    Raises:
        UserError: If the backend would refuse it or a step could not run, with the reason.
    """
    check_places(recipe, image, pipeline_root)
    check_gpus(recipe)
    resources = step_resources(recipe)
    beam = recipe.beam.on_cluster(image, recipe.kubernetes.beam_cpus)
    recipe = recipe.model_copy(update={"beam": beam})
    pipeline = build_pipeline(
        recipe,
        pipeline_root=pipeline_root,
        schema_file=installed_file("components.example_gen.schema", "schema.pbtxt"),
    )
    beam_tasks = [
        component.id
        for component in pipeline.components
        if isinstance(component.executor_spec, BeamExecutorSpec)
    ]
    config = KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=list(ENTRY_POINT), use_pipeline_spec_2_1=True
    )
    spec = KubeflowV2DagRunner(config).run(pipeline, write_out=False)["pipelineSpec"]
    spec = spec_edits.with_pipeline_root(spec, pipeline_root)
    spec = spec_edits.with_run_id(spec, PIPELINE_RUN_ID_PARAMETER_NAME)
    spec = spec_edits.with_root_parameters(spec, ROOT_PARAMETERS)
    spec = spec_edits.with_caching_off(spec, UNCACHED)
    spec = spec_edits.with_retries(spec, _retries(recipe, beam_tasks))
    spec = spec_edits.with_resources(spec, resources)
    spec = spec_edits.with_entry_point_arguments(spec, dict.fromkeys(beam_tasks, beam.pipeline_args))
    pools = {node: recipe.kubernetes.pool_of(variant) for node, variant in trainer_nodes(recipe).items()}
    platform = platform_document(
        sorted(spec["root"]["dag"]["tasks"]),
        {task: pool for task, pool in pools.items() if pool},
        recipe.kubernetes.volumes,
    )
    check_spec(spec, platform)
    return CompiledPipeline(spec, platform)


def _retries(recipe: Recipe, beam_tasks: list[str]) -> dict[str, RetryPolicy]:
    section = recipe.kubernetes
    return {
        **dict.fromkeys(trainer_nodes(recipe), RetryPolicy(section.trainer_retries)),
        **dict.fromkeys(beam_tasks, RetryPolicy(section.beam_retries)),
    }
