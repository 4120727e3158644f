"""StudentTrainer's executor: unpacks artifacts and calls."""

from components.step_executor import Step, StepExecutor
from components.trainer.run_fn import CustomConfig, hand_over
from trainer.base.memory import keep_freed_memory
from trainer.data.soft_targets import SoftTargets
from trainer.training.huge_pages import use_huge_pages_for
from trainer.training.loop import train


class Executor(StepExecutor):
    """Trains a student; see `trainer.training.loop.train`."""

    def run(self, step: Step) -> None:
        """Fills the output `model_run` with snapshots, states and logs."""
        config = CustomConfig.model_validate_json(step.parameters["config"])
        soft_targets = SoftTargets(step.input_dir("soft_targets"))
        train_files, model_run = step.files("train"), step.output_dir("model_run")
        config, start = config.started(model_run)
        directory = config.directory(model_run, train_files, soft_targets.manifest.fingerprint)
        keep_freed_memory()
        train(
            config.spec,
            config.training,
            train_files,
            step.files("eval"),
            directory,
            soft_targets=soft_targets,
            start=start and start.weights,
            snapshot_steps=config.snapshot_steps,
            on_allocated=lambda: use_huge_pages_for(config.spec),
        )
        if config.work_dir:
            hand_over(directory, model_run, config.work_dir)
