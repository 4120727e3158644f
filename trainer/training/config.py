"""The settings of a training: the `training` section of a recipe."""

from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

_LATER = ("warmup_steps", "rate_schedule", "label_smoothing", "distillation")
"""Settings that earlier versions did not have."""


class DistillationConfig(BaseModel):
    """How a student follows its teacher: loss = weight CE(p, teacher) + (1 - weight) CE(p, labels)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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


class TrainingConfig(BaseModel):
    """Settings of one training run; the defaults are the paper's and its released code's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = Field(200_000, ge=1, description="Training steps.")
    batch_size: int = Field(80, ge=2, le=1_000_000, description="Videos a step, over all devices.")
    frames_per_video: int = Field(
        300, ge=1, description="Frames drawn at random, with replacement, from each video at each step."
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
        "have the rest; a `temperature` (1.0) above 1 softens what the teacher says. Other models leave it alone.",
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
    state_every: int = Field(2_000, ge=1, description="Steps between resumable training states.")
    log_every: int = Field(100, ge=1, description="Steps between progress lines and TensorBoard points.")
    eval_slice: int = Field(
        1_024,
        ge=0,
        description="Videos of the eval split on which GAP is logged at each snapshot; 0 for none.",
    )
    shuffle_buffer: int = Field(2_048, ge=1, description="Records held for shuffling.")
    files_per_group: int = Field(32, ge=1, description="Files whose records are mixed with each other.")
    seed: int = Field(
        0, ge=0, description="Seed of initial weights, order of the records, drawn frames and dropout."
    )

    @model_validator(mode="after")
    def _warm_before_the_end(self) -> "TrainingConfig":
        if self.warmup_steps > self.steps:
            raise ValueError(f"warmup_steps is {self.warmup_steps}, more than all {self.steps} steps")
        return self

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out settings that earlier versions did not have, where they change nothing.

        Fingerprints of runs and the keys of TFX's cache are made of this: what was trained before stays valid.
        """
        values = handler(self)
        for name in _LATER:
            if getattr(self, name) == type(self).model_fields[name].default:
                values.pop(name, None)
        return values
