"""The Compressor's executor: unpacks artifacts and calls."""

from functools import partial
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.compressor.compressor import compress_ladder
from components.ladder import form_directory
from components.report_file import write_report
from components.splits import split_files
from serving.export.stored_form import StoredForm


class Executor(base_executor.BaseExecutor):
    """See `compress_ladder`."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Compresses the model."""
        videos = exec_properties["calibration_videos"]
        report = compress_ladder(
            path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict["float32_model"])),
            split_files(input_dict["examples"], "eval"),
            split_files(input_dict["examples"], "train") if videos else (),
            [StoredForm.parse(name) for name in exec_properties["ladder"].split(",")],
            partial(form_directory, artifact_utils.get_single_uri(output_dict["model"])),
            videos,
        )
        write_report(artifact_utils.get_single_uri(output_dict["report"]), report)
