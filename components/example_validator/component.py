"""ExampleValidator with our executor, and the three steps that hold the data against the schema."""

import os
from importlib import resources
from typing import NamedTuple

import tfx.components
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.dsl.components.base import executor_spec
from tfx.types.channel import BaseChannel

from components.example_validator.executor import Executor
from components.statistics_gen.component import StatisticsGen


class ExampleValidator(tfx.components.ExampleValidator):
    """TFX's ExampleValidator, except that an anomaly stops the run with a message that names it.

    validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    """

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


class ValidationSteps(NamedTuple):
    """The three components, in the order in which they run."""

    statistics_gen: StatisticsGen
    schema_gen: ImportSchemaGen
    example_validator: ExampleValidator


def validation_steps(summaries: BaseChannel, schema_file: str | None = None) -> ValidationSteps:
    """Makes the components that compute statistics of the data and compare them with a schema.

        steps = validation_steps(example_gen.outputs["summaries"])
        trainer.add_upstream_node(steps.example_validator)

    Args:
        summaries: Output `summaries` of YouTube8MExampleGen. It has what a schema can say something of; statistics of
            the frames' raw bytes would take very long and say nothing.
        schema_file: Path of the schema on the machine that runs ImportSchemaGen; None for `installed_schema()`.
    """
    statistics_gen = StatisticsGen(examples=summaries)
    schema_gen = ImportSchemaGen(schema_file=schema_file or installed_schema())
    validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    return ValidationSteps(statistics_gen, schema_gen, validator)


def installed_schema() -> str:
    """Returns the path of the summaries' schema in this installation."""
    return os.fspath(resources.files("components.example_gen.schema").joinpath("schema.pbtxt"))
