"""The Fp16Compressor's executor: unpacks artifacts and calls."""

from components.fp16_compressor.compressor import compress_model
from components.spent_runs import remove_spent
from components.step_executor import Step, StepExecutor
from trainer.base.memory import keep_freed_memory


class Executor(StepExecutor):
    """Compresses one model; see `compress_model`."""

    def run(self, step: Step) -> None:
        """Writes the compressed model and the report."""
        remove_spent(step)
        keep_freed_memory()
        report = compress_model(
            step.input_model("float32_model"),
            step.files("eval"),
            step.output_model("model"),
            step.parameters["tolerance"],
        )
        report.write(step.output_dir("report"))
