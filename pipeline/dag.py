"""The pipeline as a TFX DAG, built from a recipe. Nothing here knows what will run it.

Node ids are letters, digits and hyphens, exec properties small and constant, and there is no resolver: the same DAG
compiles for Kubeflow Pipelines.
"""

from pathlib import Path
from typing import Any

from tfx.components import ImportSchemaGen, StatisticsGen, Trainer
from tfx.dsl.compiler import constants
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.orchestration.data_types import RuntimeParameter
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2
from tfx.types.channel import BaseChannel

from pipeline.recipe import Recipe
from trainer.variant import Variant

RUN_FN = "components.trainer.run_fn.run_fn"
