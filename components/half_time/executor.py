"""HalfTime's executor: unpacks artifacts and calls."""

import logging

from components.half_time.report import HalfTimeReport, HalfTimeResult, HalfTimeVerdict
from components.half_time.rule import stopped_for
from components.step_executor import Step, StepExecutor

FIRST_HALF = "first_half_"
"""Beginning of the key of each first half. A number follows, since Kubeflow Pipelines takes one producer a key."""

_logger = logging.getLogger("yt8m.half_time")


class Executor(StepExecutor):
    """Decides which variants are trained to the end; see `stopped_for`."""

    def run(self, step: Step) -> None:
        """Reads what the first halves have reached, and writes the verdicts."""
        lead = step.parameters["lead"]
        results = [HalfTimeResult.read(directory) for directory in step.input_dirs(FIRST_HALF)]
        verdicts = tuple(
            HalfTimeVerdict(**result.document(), stopped_for=other)
            for result, other in zip(results, stopped_for(results, lead), strict=True)
        )
        for one in verdicts:
            fate = "goes on" if one.stopped_for is None else f"is stopped for {one.stopped_for}"
            _logger.info("%s: GAP %.4f at step %d, %s", one.variant, one.gap, one.step, fate)
        HalfTimeReport(lead=lead, variants=verdicts).write(step.output_dir("report"))
