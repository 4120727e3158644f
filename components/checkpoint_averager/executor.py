"""The CheckpointAverager's executor: unpacks artifacts and calls."""

import posixpath

from components.checkpoint_averager.averager import average_checkpoints
from components.checkpoint_averager.config import AveragingConfig
from components.remote_tree import local_tree
from components.step_executor import Step, StepExecutor
from trainer.base.memory import keep_freed_memory


class Executor(StepExecutor):
    """Averages the snapshots of a Trainer's run; see `average_checkpoints`."""

    def run(self, step: Step) -> None:
        """Writes the best single snapshot or average as a SavedModel, and the report."""
        keep_freed_memory()
        averaging = AveragingConfig.model_validate_json(step.parameters["averaging"])
        # Averaging reads pieces of many files in turns, which a bucket is slow at.
        with local_tree(posixpath.join(step.input_dir("model_run"), "snapshots")) as snapshots:
            report = average_checkpoints(
                snapshots,
                step.files("eval"),
                step.output_model("model"),
                averaging,
                step.files("train") if averaging.batch_norm_videos else (),
            )
        report.write(step.output_dir("report"))
