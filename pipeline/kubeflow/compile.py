"""Compiles a recipe's pipeline to the two YAML documents that open-source Kubeflow Pipelines takes."""

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
from pipeline.kubeflow.only_when_new import only_when_new
from pipeline.kubeflow.platform import platform_document
from pipeline.kubeflow.sizing import step_resources
from pipeline.kubeflow.spec_edits import RetryPolicy
from pipeline.recipe.recipe import Recipe

ENTRY_POINT = ("python", "-m", "pipeline.kubeflow.entry_point")

UNCACHED = ("YouTube8MExampleGen", "Baseline", "Pusher")
"""The tasks that read files or the served model, which are not part of the cache's key."""

ROOT_PARAMETERS = {
    "max_reject_share": ("YouTube8MExampleGen",),
    "push_destination": ("Baseline", "Pusher"),
    "limit_bytes": ("EnsembleAssembler", "Evaluator"),
}
"""The exec properties that a run or a schedule may set to other values than the recipe's, with their tasks."""


@dataclass(frozen=True)
class CompiledPipeline:
    """The two documents as plain values.

    Attributes:
        spec: The PipelineSpec, schema version 2.1.0.
        platform: The PlatformSpec, with node pools, volumes and so on.
    """

    spec: dict[str, Any]
    platform: dict[str, Any]

    def to_yaml(self) -> str:
        """Returns both documents as one text, which is the same for the same recipe, image and root."""
        return yaml.safe_dump_all([self.spec, self.platform], sort_keys=True, width=110)


def compile_pipeline(recipe: Recipe, image: str, pipeline_root: str) -> CompiledPipeline:
    """Compiles a recipe's pipeline and checks the result.

    Args:
        recipe: The recipe. Its paths must be valid in pods: gs:// or below a volume of `kubernetes.volumes`.
        image: The address of the image of all steps, with its tag.
        pipeline_root: The gs:// directory of the artifacts of runs that name no other one.

    Raises:
        UserError: If the backend would refuse the pipeline or a step could not run; the message has the reason.
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
    spec = only_when_new(spec, image, ["python", "-m"], resources["Baseline"])
    pools = {
        node: recipe.kubernetes.pool_of(recipe.trained[name]) for node, name in trainer_nodes(recipe).items()
    }
    platform = platform_document(
        sorted(spec_edits.all_tasks(spec)),
        {task: pool for task, pool in pools.items() if pool},
        recipe.kubernetes.volumes,
        recipe.kubernetes.queue,
    )
    check_spec(spec, platform)
    return CompiledPipeline(spec, platform)


def _retries(recipe: Recipe, beam_tasks: list[str]) -> dict[str, RetryPolicy]:
    section = recipe.kubernetes
    return {
        **dict.fromkeys(trainer_nodes(recipe), RetryPolicy(section.trainer_retries)),
        **dict.fromkeys(beam_tasks, RetryPolicy(section.beam_retries)),
    }
