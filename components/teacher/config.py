"""What the Teacher keeps of what it says: a part of the `teacher` section of a recipe."""

from pydantic import ConfigDict, Field

from trainer.base.settings import Settings
from trainer.data.soft_targets import MAX_CLASSES


class TeacherConfig(Settings):
    """Settings of the Teacher step."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    threshold: float = Field(
        0.001, gt=0, lt=1, description="Probability below which a class counts as 0 in the soft targets."
    )
    max_classes: int = Field(
        MAX_CLASSES, ge=1, le=MAX_CLASSES, description="Most classes of a video in the soft targets."
    )
    batch_size: int = Field(64, ge=1, le=1_000_000, description="Videos that the Teacher scores at once.")
