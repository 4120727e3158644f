"""The HalfTime's executor: unpacks artifacts and calls."""

import logging
from dataclasses import asdict
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from components.half_time.result import HalfTimeResult
from components.half_time.rule import stopped_for
from components.report_file import write_report

FIRST_HALF = "first_half_"
"""A number follows: Kubeflow Pipelines takes one producer a key."""

_logger = logging.getLogger("yt8m.half_time")


class Executor(base_executor.BaseExecutor):
    """See `stopped_for`. The report: {lead, variants: [{variant, step, bytes, gap, videos, stopped_for}]}."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Judges the variants."""
        lead = exec_properties["lead"]
        keys = sorted(key for key in input_dict if key.startswith(FIRST_HALF))
        results = [HalfTimeResult.read(artifact_utils.get_single_uri(input_dict[key])) for key in keys]
        rows = [
            {**asdict(result), "stopped_for": other}
            for result, other in zip(results, stopped_for(results, lead), strict=True)
        ]
        for row in rows:
            fate = "goes on" if row["stopped_for"] is None else f"is stopped for {row['stopped_for']}"
            _logger.info("%s: GAP %.4f at step %d, %s", row["variant"], row["gap"], row["step"], fate)
        report = {"lead": lead, "variants": rows}
        write_report(artifact_utils.get_single_uri(output_dict["report"]), report)
