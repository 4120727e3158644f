"""StudentTrainer's executor: unpacks artifacts and calls."""

from components.step_executor import Step, StepExecutor
from components.trainer.run_fn import CustomConfig, hand_over
from serving.export.card import ModelCard
from serving.export.saved_model import read_weights
from serving.inference.inference_parts import directory_identity
from serving.store.model_store import whole_model_path
from serving.store.whole_model import check_model
from trainer.base.memory import keep_freed_memory
from trainer.data.soft_targets import SoftTargets
from trainer.training.distillation import Teacher, TeacherMember
from trainer.training.huge_pages import use_huge_pages_for
from trainer.training.loop import train


class Executor(StepExecutor):
    """Trains a student; see `trainer.training.loop.train`."""

    def run(self, step: Step) -> None:
        """Fills the output `model_run` with snapshots, states and logs."""
        config = CustomConfig.model_validate_json(step.parameters["config"])
        soft_targets = teacher = None
        if config.training.uses_soft_targets:
            soft_targets = SoftTargets(step.input_dir("soft_targets"))
            taught_by = soft_targets.manifest.fingerprint
        else:
            given = step.parameters.get("directory")
            teacher = read_teacher(whole_model_path(given) if given else step.input_model("teacher"))
            taught_by = teacher.identity
        train_files, model_run = step.files("train"), step.output_dir("model_run")
        config, start = config.started(model_run)
        directory = config.directory(model_run, train_files, taught_by)
        keep_freed_memory()
        train(
            config.spec,
            config.training,
            train_files,
            step.files("eval"),
            directory,
            soft_targets=soft_targets,
            teacher=teacher,
            start=start and start.weights,
            snapshot_steps=config.snapshot_steps,
            on_allocated=lambda: use_huge_pages_for(config.spec),
        )
        if config.work_dir:
            hand_over(directory, model_run, config.work_dir)


def read_teacher(directory: str) -> Teacher:
    """Reads all members of a SavedModel of this project, decoded; UserError where it is none, or damaged."""
    card = ModelCard.load(directory)
    check_model(directory)
    members = [
        TeacherMember(card.spec(index), read_weights(directory, index), member.weight)
        for index, member in enumerate(card.members)
    ]
    return Teacher(members, directory_identity(directory))
