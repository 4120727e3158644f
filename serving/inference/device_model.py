"""Predictions of a file for devices, one video after the other, by a runtime that is not TensorFlow.

Legend: B videos, T frames, V classes, k = 20 (or V, if that is less).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from trainer.data.encoding import frame_dtype
from trainer.data.record_parts import parse_parts
from trainer.data.yt8m import ANY_CLASSES, AUDIO_SIZE, RGB_SIZE

INPUTS, OUTPUTS = {"audio", "num_frames", "rgb"}, {"classes", "predictions", "scores"}
"""Names of what files of this project take and answer with."""


class DeviceModel(ABC):
    """A file for devices, loaded. It has the interface of `PredictClient`."""

    RUNTIME: ClassVar[str]
    """Name of the runtime."""

    names: np.ndarray | None
    """Names of the classes, bytes objects [V]; None where the file has none."""

    @abstractmethod
    def run(self, rgb: np.ndarray, audio: np.ndarray, num_frames: np.ndarray) -> dict[str, np.ndarray]:
        """Answers as the signature of the file does.

        Args:
            rgb: uint8 [1, T, 1024].
            audio: uint8 [1, T, 128].
            num_frames: int32 [1]: how many of the frames are real.

        Returns:
            `classes` int32 [1, k] and `scores` float32 [1, k], descending, and `predictions` float32 [1, V].
        """

    def scores(self, examples: Sequence[bytes]) -> np.ndarray:
        """Scores B videos, serialised SequenceExamples: float32 [B, V] in [0, 1]."""
        return np.concatenate([self.run(**_inputs(example))["predictions"] for example in examples])

    def predict(self, examples: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Predicts B videos.

        Args:
            examples: B serialised SequenceExamples.

        Returns:
            The best classes of each video, int64 [B, k], and their scores, float32 [B, k], descending.
        """
        classes, scores, _ = self.predict_named(examples)
        return classes, scores

    def predict_named(self, examples: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Predicts like `predict`, and returns the names of the classes as well: bytes objects [B, k], or None."""
        answers = [self.run(**_inputs(example)) for example in examples]
        classes = np.concatenate([answer["classes"] for answer in answers]).astype(np.int64)
        scores = np.concatenate([answer["scores"] for answer in answers])
        return classes, scores, None if self.names is None else self.names[classes]

    def close(self) -> None:  # noqa: B027 - not to be written by every subclass
        """Does nothing: the runtime goes with this object."""


def _inputs(example: bytes) -> dict[str, np.ndarray]:
    """What `DeviceModel.run` takes, of a serialised SequenceExample."""
    parts = parse_parts(example, ANY_CLASSES)
    features = {
        name: np.frombuffer(getattr(parts, name), frame_dtype(size))["frame"]
        .copy()
        .view(np.uint8)
        .reshape(1, -1, size)
        for name, size in (("rgb", RGB_SIZE), ("audio", AUDIO_SIZE))
    }
    return {**features, "num_frames": np.array([parts.num_frames], np.int32)}
