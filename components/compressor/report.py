"""What the Compressor reports of one model in several stored forms."""

from pydantic import Field

from components.report_file import ReportPart, StepReport
from serving.export.card import TensorCard


class FormRow(ReportPart):
    """One stored form of the model."""

    form: str = Field(description="Name of the form, such as int4-b128 (see `ModelCard.form`).")
    bytes: int = Field(description="Bytes of the tensors as stored.")
    rate: float = Field(description="Share of the bytes that is saved, 0 to 1.")
    gap: float = Field(description="GAP on the eval split.")
    tensors: tuple[TensorCard, ...] = Field(description="Every tensor with its shape and its codec.")


class LadderReport(StepReport):
    """Size and GAP of one model in float32 and in each stored form."""

    variant: str = Field(description="Name of the architecture, such as K24-H1440.")
    float32_bytes: int = Field(description="Bytes of the tensors in float32.")
    gap_float32: float = Field(description="GAP on the eval split in float32.")
    videos: int = Field(description="Videos of the eval split.")
    calibration_videos: int = Field(
        description="Videos of the train split by whose activations codecs rounded."
    )
    forms: tuple[FormRow, ...] = Field(description="The forms, in the order of the ladder.")
