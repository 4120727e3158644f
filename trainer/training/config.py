"""The settings of a training: the `training` section of a recipe."""

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from trainer.base.addresses import address_fault
from trainer.base.settings import GrownSettings, Settings

SCRATCH, PREVIOUS = "scratch", "previous"
"""Values of `start` that are no addresses."""
_WARM_SHARE = 0.4


class DistillationConfig(GrownSettings):
    """How a student follows its teacher: loss = weight CE(p, teacher) + (1 - weight) CE(p, labels)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    LATER: ClassVar = ("consistent",)

    weight: float = Field(
        0.5, ge=0, le=1, description="Share of the teacher in the loss; the labels have the rest."
    )
    temperature: float = Field(
        1.0,
        ge=0.1,
        le=10,
        description="The teacher's probabilities p become sigmoid(logit(p) / temperature): above 1 softer, below 1 "
        "sharper. The student's own are left alone.",
    )
    consistent: bool = Field(
        False,
        description="Whether the teacher scores every batch as the student sees it, blends of `mixup` included (Beyer "
        "et al. 2022), in place of soft targets that are made beforehand. For data so small that a teacher knows it by "
        "heart.",
    )


class BatchStage(Settings):
    """From which step on a batch has how many videos."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = Field(ge=1, description="Number of the first step with such batches, from 0 on.")
    batch_size: int = Field(ge=2, le=1_000_000, description="Videos a step, over all devices.")


def _start(text: str) -> str:
    if text not in (SCRATCH, PREVIOUS) and (fault := address_fault(text)):
        raise ValueError(f"give {SCRATCH}, {PREVIOUS}, or the directory of a model: {fault}")
    return text


class TrainingConfig(GrownSettings):
    """Settings of one training run; the defaults are the paper's and its released code's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    LATER: ClassVar = (
        "warmup_steps",
        "rate_schedule",
        "batch_schedule",
        "label_smoothing",
        "distillation",
        "start",
        "warm_steps",
        "warm_shrink",
        "input_processes",
        "keep_snapshots",
        "reverse_whitening",
    )

    steps: int = Field(200_000, ge=1, description="Training steps.")
    start: Annotated[str, AfterValidator(_start)] = Field(
        SCRATCH,
        description="Weights that training starts from: `scratch` for random ones; `previous` for those of the model "
        "that is served from push.directory; or the directory of a model. A variant that the model has no member of is "
        "trained from scratch.",
    )
    warm_steps: int | None = Field(
        None,
        ge=1,
        description="Training steps where there were weights to start from; none for two fifths of `steps`.",
    )
    warm_shrink: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the weights that training starts from; random ones have the rest (Ash & Adams 2020, "
        "shrink and perturb). Below 1 where they have learnt a small data set by heart.",
    )
    batch_size: int = Field(80, ge=2, le=1_000_000, description="Videos a step, over all devices.")
    batch_schedule: tuple[BatchStage, ...] = Field(
        (),
        description="Other batch sizes later on, such as `[{step: 1000, batch_size: 160}]`, by ascending steps. A "
        "larger batch calms the end of a training as a smaller learning rate does (Smith et al. 2018).",
    )
    frames_per_video: int = Field(
        300,
        ge=1,
        le=3_000,
        description="Frames drawn at random, with replacement, from each video at each step.",
    )
    learning_rate: float = Field(1e-4, gt=0, le=1, description="Adam's base learning rate.")
    learning_rate_decay: float = Field(
        0.8, gt=0, le=1, description="Factor of the staircase decay of the learning rate."
    )
    learning_rate_decay_examples: int = Field(
        4_000_000, ge=1, description="Examples after which the learning rate decays once."
    )
    rate_schedule: Literal["staircase", "cosine"] = Field(
        "staircase",
        description="How the learning rate falls: by learning_rate_decay, as in the paper, or along half a cosine to 0 "
        "at the last step.",
    )
    warmup_steps: int = Field(
        0, ge=0, description="Steps at the beginning over which the learning rate rises in a line from 0."
    )
    gradient_clip_norm: float = Field(
        1.0, gt=0, description="Largest L2 norm of the gradient of each tensor by itself."
    )
    l2_penalty: float = Field(
        1e-6,
        ge=0,
        description="L2 penalty (times half the squared norm) on the kernels of gates and experts.",
    )
    reverse_whitening: float = Field(
        0.0,
        ge=0,
        le=2,
        description="Strength of reverse whitening (Lin et al. 2018): with 1 features count by the variance that they "
        "had before the data set's authors whitened them, and less of the noise in small data sets is learnt by heart; "
        "with 0, as in the paper, all count alike. Models read the same features either way.",
    )
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of the gated hidden units dropped in training."
    )
    mixup: float = Field(
        0.0,
        ge=0,
        description="Alpha of mixup (Zhang et al. 2018): each video is blended with another, frames and labels, by a "
        "share drawn from Beta(alpha, alpha). 0 for none, as in the paper; it pays on small data sets.",
    )
    label_smoothing: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the targets of each video that is spread evenly over all classes (Szegedy et al. 2016).",
    )
    distillation: DistillationConfig | None = Field(
        None,
        description="How students follow their teacher: `weight` (0.5) is the teacher's share in the loss, the labels "
        "have the rest; a `temperature` (1.0) above 1 softens what the teacher says; with `consistent` it scores what "
        "the student sees. Other models leave it alone.",
    )
    batch_norm_decay: float = Field(
        0.999,
        gt=0,
        lt=1,
        description="Decay of the moving statistics; early steps use (1 + step) / (10 + step) where it is smaller.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Type of the matrix products; weights, statistics and loss stay float32, and on CPUs those of "
        "kernels' gradients and, without mixup, the products with frames.",
    )
    snapshot_every: int = Field(2_000, ge=1, description="Steps between weight-only snapshots.")
    keep_snapshots: bool = Field(
        False,
        description="Keep every snapshot. Else those that no candidate of `averaging` can use are not written, and the "
        "others are removed with the training state when the averager's model is there; averaging them otherwise "
        "takes a new training.",
    )
    state_every: int = Field(2_000, ge=1, description="Steps between resumable training states.")
    log_every: int = Field(100, ge=1, description="Steps between progress lines and TensorBoard points.")
    eval_slice: int = Field(
        1_024,
        ge=0,
        description="Videos of the eval split on which GAP is logged at each snapshot; 0 for none.",
    )
    shuffle_buffer: int = Field(2_048, ge=1, description="Records held for shuffling.")
    input_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that make batches, each of its share of the files; one works in the Trainer itself. A "
        "GPU that waits for data wants as many as the machine has cores to spare. Another number is another order.",
    )
    files_per_group: int = Field(32, ge=1, description="Files whose records are mixed with each other.")
    seed: int = Field(
        0, ge=0, description="Seed of initial weights, order of the records, drawn frames and dropout."
    )

    @property
    def uses_soft_targets(self) -> bool:
        """Whether batches come with what a teacher has said of their videos."""
        return self.distillation is not None and not self.distillation.consistent

    @property
    def asks_teacher(self) -> bool:
        """Whether a teacher scores every batch."""
        return self.distillation is not None and self.distillation.consistent

    def warm(self) -> "TrainingConfig":
        """Returns the settings of a training that starts from weights: with `warm_steps` for `steps`.

        >>> TrainingConfig(steps=2150, start="previous").warm().steps
        860
        """
        steps = self.warm_steps or max(1, round(_WARM_SHARE * self.steps))
        stages = tuple(stage for stage in self.batch_schedule if stage.step < steps)
        return self.model_copy(
            update={
                "steps": steps, "warmup_steps": min(self.warmup_steps, steps), "batch_schedule": stages
            }
        )  # fmt: skip

    def batch_size_at(self, step: int) -> int:
        """Returns how many videos the batch of a step has, over all devices.

        >>> [TrainingConfig(batch_schedule=[{"step": 5, "batch_size": 160}]).batch_size_at(i) for i in (4, 5)]
        [80, 160]
        """
        return [size for begin, size in self._stages() if begin <= step][-1]

    @property
    def largest_batch(self) -> int:
        """The most videos that a batch has."""
        return max(size for _, size in self._stages())

    def videos(self, steps: int) -> int:
        """Returns how many videos the first steps take; one that is taken twice counts twice.

        >>> TrainingConfig(batch_schedule=[{"step": 5, "batch_size": 160}]).videos(7)
        720
        """
        stages = [*self._stages(), (steps, 0)]
        return sum(size * max(0, min(end, steps) - begin) for (begin, size), (end, _) in pairwise(stages))

    def _stages(self) -> list[tuple[int, int]]:
        return [(0, self.batch_size), *((stage.step, stage.batch_size) for stage in self.batch_schedule)]

    def snapshot_steps(self, until: int | None = None) -> list[int]:
        """Returns the steps at which a training takes snapshots, ascending.

        >>> TrainingConfig(steps=9, snapshot_every=4).snapshot_steps()
        [4, 8, 9]

        Args:
            until: Last step of a training that ends before `steps`; None for a whole one.
        """
        end = self.steps if until is None else min(until, self.steps)
        return [*range(self.snapshot_every, end, self.snapshot_every), end]

    @model_validator(mode="after")
    def _warm_before_the_end(self) -> "TrainingConfig":
        if self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps is {self.warmup_steps}, more than all {self.steps} steps")
        return self

    @model_validator(mode="after")
    def _stages_in_order(self) -> "TrainingConfig":
        begins = [stage.step for stage in self.batch_schedule]
        if begins != sorted(set(begins)):
            raise ValueError(f"batch_schedule has the steps {begins}; each must be later than the one before")
        if begins and begins[-1] >= self.steps:
            raise ValueError(
                f"batch_schedule has step {begins[-1]}, and the {self.steps} steps end before it"
            )
        return self
