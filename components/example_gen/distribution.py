"""How labels, lengths and features of videos are distributed, in sums that can be added up over files.

Legend: V classes, D = 1152 bytes of a frame.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, PlainSerializer, PlainValidator

from components.report_file import StepReport
from trainer.data.encoding import frame_prefix
from trainer.data.record_parts import Parts
from trainer.data.yt8m import AUDIO_SIZE, FRAME_SIZE, MAX_FRAMES, RGB_SIZE

FRAME_STEP = 16
"""Every 16th frame of a video counts in the moments of the features: 1 s of 16."""
_MOST_LABELS = 64
"""Videos with more labels are counted as if they had so many."""


@dataclass(eq=False)
class Distribution:
    """Sums over videos with labels. Duplicates within and between files count each time."""

    classes: np.ndarray
    """int64 [V]: videos with each label."""
    labels: np.ndarray
    """int64 [65]: videos by their number of labels."""
    frames: np.ndarray
    """int64 [301]: videos by their number of frames."""
    sampled: np.ndarray
    """int64 []: frames that the next two are sums over."""
    sums: np.ndarray
    """float64 [D]: sums of the features, in the 8-bit code."""
    squares: np.ndarray
    """float64 [D]: sums of their squares."""

    @classmethod
    def empty(cls, num_classes: int) -> "Distribution":
        """Makes the sums over no video; V is `num_classes`."""
        return cls(
            np.zeros(num_classes, np.int64),
            np.zeros(_MOST_LABELS + 1, np.int64),
            np.zeros(MAX_FRAMES + 1, np.int64),
            np.zeros((), np.int64),
            np.zeros(FRAME_SIZE),
            np.zeros(FRAME_SIZE),
        )

    @classmethod
    def total(cls, parts: Iterable["Distribution"], num_classes: int) -> "Distribution":
        """Adds several up."""
        made = cls.empty(num_classes)
        for part in parts:
            for name, value in made.arrays().items():
                value += getattr(part, name)
        return made

    @property
    def videos(self) -> int:
        """Number of videos."""
        return int(self.frames.sum())

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the sums by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def add(self, video: Parts) -> None:
        """Counts a video."""
        self.classes[list(video.labels)] += 1
        self.labels[min(len(video.labels), _MOST_LABELS)] += 1
        self.frames[video.num_frames] += 1
        frames = np.concatenate([_frames(video.rgb, RGB_SIZE), _frames(video.audio, AUDIO_SIZE)], axis=1)
        values = frames.astype(np.float64)
        self.sampled += len(values)
        self.sums += values.sum(axis=0)
        self.squares += np.square(values).sum(axis=0)

    def document(self) -> dict[str, Any]:
        """Returns the sums as plain JSON values; classes that no video has are left out."""
        present = np.flatnonzero(self.classes)
        return {
            **{name: value.tolist() for name, value in self.arrays().items() if name != "classes"},
            "num_classes": len(self.classes),
            "classes": {str(one): int(self.classes[one]) for one in present},
        }

    @classmethod
    def of_document(cls, values: Mapping[str, Any]) -> "Distribution":
        """Makes the sums of what `document` returned."""
        made = cls.empty(values["num_classes"])
        for name, value in made.arrays().items():
            if name != "classes":
                value += np.asarray(values[name], value.dtype)
        for number, count in values["classes"].items():
            made.classes[int(number)] = count
        return made


def _read(content: Any) -> Distribution:
    if isinstance(content, Distribution):
        return content
    try:
        return Distribution.of_document(content)
    except (AttributeError, LookupError, TypeError) as error:  # which pydantic would let through
        raise ValueError(f"no distribution of videos ({error!r:.80})") from error


DistributionPart = Annotated[
    Distribution,
    PlainValidator(_read),
    PlainSerializer(Distribution.document),
]
"""A distribution inside a document."""


class Distributions(StepReport):
    """How the videos of the train split are distributed; it lies beside ExampleGen's report."""

    FILE: ClassVar[str] = "distributions.json"

    trained: DistributionPart = Field(description="The videos of all spans.")
    newest: DistributionPart = Field(description="The videos of the newest span alone.")
    span: int = Field(description="Number of that span; 0 where the data have none.")


def _frames(entries: bytes | memoryview, size: int) -> np.ndarray:
    """Returns every 16th frame of a serialised FeatureList as uint8 [N, size]."""
    width = len(frame_prefix(size)) + size
    return np.frombuffer(entries, np.uint8).reshape(-1, width)[::FRAME_STEP, -size:]
