"""The pipeline as a TFX DAG, built from a recipe. Nothing here knows what will run it.

Node ids are letters, digits and hyphens, exec properties small and constant, and there is no resolver: the same
DAG compiles for Kubeflow Pipelines.
"""

import posixpath
from importlib import resources
from typing import Any

from tfx.components import StatisticsGen, Trainer
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.compiler import constants
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2
from tfx.types.channel import BaseChannel

from pipeline.recipe import Recipe
from trainer.variant import Variant

RUN_FN = "components.trainer.run_fn.run_fn"


def build_pipeline(
    recipe: Recipe,
    *,
    pipeline_root: str,
    work_root: str | None = None,
    schema_file: str | None = None,
    **pipeline_options: Any,
) -> Pipeline:
    """The pipeline of a recipe.

    Args:
        recipe: What it does.
        pipeline_root: Where artifacts go.
        work_root: Directory from which a killed Trainer goes on; None where a retry is given the same outputs.
        schema_file: Of the examples' summaries, as the machine that runs ImportSchemaGen sees it; None for the
            one in this installation.
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
