"""What the compressor reports of one model."""

from pydantic import AliasChoices, Field

from components.compressor.report import FormRow
from components.report_file import StepReport
from serving.export.card import TensorCard


class CompressionReport(StepReport):
    """Size and GAP of one model before and after its tensors were stored by a codec."""

    variant: str = Field(description="Name of the architecture, such as K24-H1440.")
    encoding: str = Field("float16", description="Name of the codec.")
    float32_bytes: int = Field(description="Bytes of the tensors before.")
    stored_bytes: int = Field(
        validation_alias=AliasChoices("stored_bytes", "float16_bytes"),
        description="Bytes of the tensors after.",
    )
    rate: float = Field(description="Share of the bytes that is saved, 0 to 1.")
    gap_float32: float = Field(description="GAP on the eval split before.")
    gap_stored: float = Field(
        validation_alias=AliasChoices("gap_stored", "gap_float16"), description="GAP on the eval split after."
    )
    videos: int = Field(description="Videos of the eval split.")
    tolerance: float = Field(description="Largest change of GAP that is allowed on 17,600 videos.")
    tensors: tuple[TensorCard, ...] = Field(description="Every tensor with its shape and its codec.")

    @property
    def forms(self) -> tuple[FormRow, ...]:
        """The one stored form, as a `LadderReport` has several."""
        return (
            FormRow(
                form=self.encoding,
                bytes=self.stored_bytes,
                rate=self.rate,
                gap=self.gap_stored,
                tensors=self.tensors,
            ),
        )
