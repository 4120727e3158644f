"""The Fp16Compressor's executor: unpacks artifacts and calls."""

from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.fp16_compressor.compressor import compress_model
from components.splits import split_files


class Executor(base_executor.BaseExecutor):
    """See `compress_model`."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Compresses the model."""
        report = compress_model(
            path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["float32_model"])),
            split_files(input_dict["examples"], "eval"),
            path_utils.serving_model_dir(artifact_utils.get_single_uri(output_dict["model"])),
            exec_properties["tolerance"],
        )
        report.write(artifact_utils.get_single_uri(output_dict["report"]))
