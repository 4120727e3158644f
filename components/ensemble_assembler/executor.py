"""The EnsembleAssembler's executor: unpacks artifacts and calls."""

from components.ensemble_assembler.assembler import assemble
from components.ensemble_assembler.inputs import MODEL
from components.ladder import form_directories
from components.step_executor import Step, StepExecutor
from serving.export.vocabulary import Vocabulary


class Executor(StepExecutor):
    """Assembles the best ensemble of the models; see `assemble`."""

    def run(self, step: Step) -> None:
        """Writes the ensemble and the report."""
        vocabulary, names = step.parameters.get("vocabulary"), step.parameters.get("names")
        report = assemble(
            [form_directories(directory) for directory in step.input_dirs(MODEL)],
            step.files("eval"),
            step.output_model("model"),
            step.parameters["limit_bytes"],
            Vocabulary.load(vocabulary) if vocabulary else None,
            names.split(",") if names else None,
        )
        report.write(step.output_dir("report"))
