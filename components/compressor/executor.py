"""The Compressor's executor: unpacks artifacts and calls."""

from functools import partial

from components.compressor.compressor import compress_ladder
from components.ladder import form_directory
from components.spent_runs import remove_spent
from components.step_executor import Step, StepExecutor
from serving.export.stored_form import StoredForm
from trainer.base.memory import keep_freed_memory


class Executor(StepExecutor):
    """Stores one model in several forms; see `compress_ladder`."""

    def run(self, step: Step) -> None:
        """Writes the model in every form, and the report."""
        remove_spent(step)
        keep_freed_memory()
        videos = step.parameters["calibration_videos"]
        report = compress_ladder(
            step.input_model("float32_model"),
            step.files("eval"),
            step.files("train") if videos else (),
            [StoredForm.parse(name) for name in step.parameters["ladder"].split(",")],
            partial(form_directory, step.output_dir("model")),
            videos,
        )
        report.write(step.output_dir("report"))
