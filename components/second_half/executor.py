"""SecondHalf's executor: unpacks artifacts and calls."""

from components.half_time.report import HalfTimeReport
from components.second_half.training import train_second_half
from components.step_executor import Step, StepExecutor
from components.trainer.run_fn import CustomConfig


class Executor(StepExecutor):
    """Trains the other half of a variant's steps; see `train_second_half`."""

    def run(self, step: Step) -> None:
        """Fills the output `model_run` with the run of both halves."""
        train_second_half(
            CustomConfig.model_validate_json(step.parameters["config"]),
            step.files("train"),
            step.files("eval"),
            step.input_dir("first_half"),
            HalfTimeReport.read(step.input_dir("verdicts")),
            step.output_dir("model_run"),
        )
