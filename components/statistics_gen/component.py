"""StatisticsGen with our executor."""

import tfx.components
from tfx.dsl.components.base import executor_spec

from components.statistics_gen.executor import Executor


class StatisticsGen(tfx.components.StatisticsGen):
    """TFX's StatisticsGen, except that it merges the statistics of files that ExampleGen has kept.

    statistics_gen = StatisticsGen(examples=example_gen.outputs["summaries"])
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
