"""The CheckpointAverager's executor: unpacks artifacts and calls."""

import posixpath
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.checkpoint_averager.averager import average_checkpoints
from components.checkpoint_averager.config import AveragingConfig
from components.remote_tree import local_tree
from components.report_file import write_report
from components.splits import split_files
from trainer.base.memory import keep_freed_memory


class Executor(base_executor.BaseExecutor):
    """See `average_checkpoints`."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Averages the snapshots of the model_run."""
        keep_freed_memory()
        run = artifact_utils.get_single_uri(input_dict["model_run"])
        model = artifact_utils.get_single_instance(output_dict["model"])
        averaging = AveragingConfig.model_validate_json(exec_properties["averaging"])
        # Averaging reads pieces of many files in turns, which a bucket is slow at.
        with local_tree(posixpath.join(run, "snapshots")) as snapshots:
            report = average_checkpoints(
                snapshots,
                split_files(input_dict["examples"], "eval"),
                path_utils.serving_model_dir(model.uri),
                averaging,
                split_files(input_dict["examples"], "train") if averaging.batch_norm_videos else (),
            )
        write_report(artifact_utils.get_single_uri(output_dict["report"]), report)
