"""The SecondHalf's executor: unpacks artifacts and calls."""

from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from components.report_file import read_report
from components.second_half.training import train_second_half
from components.splits import split_files
from components.trainer.run_fn import CustomConfig


class Executor(base_executor.BaseExecutor):
    """See `train_second_half`."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Trains the second half."""
        train_second_half(
            CustomConfig.model_validate_json(exec_properties["config"]),
            split_files(input_dict["examples"], "train"),
            split_files(input_dict["examples"], "eval"),
            artifact_utils.get_single_uri(input_dict["first_half"]),
            read_report(artifact_utils.get_single_uri(input_dict["verdicts"])),
            artifact_utils.get_single_uri(output_dict["model_run"]),
        )
