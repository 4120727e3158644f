"""Predictions of a LiteRT file by LiteRT's interpreter, without TensorFlow.

Legend: B videos, T frames, D bytes of a frame of one feature, V classes, k = 20 (or V, if that is less).
"""

import os
import threading
import zipfile
from collections.abc import Sequence

import numpy as np

from trainer.base.errors import UserError
from trainer.data.encoding import frame_dtype
from trainer.data.record_parts import parse_parts
from trainer.data.yt8m import ANY_CLASSES, AUDIO_SIZE, RGB_SIZE

_INPUTS, _OUTPUTS = {"audio", "num_frames", "rgb"}, {"classes", "predictions", "scores"}


class LiteRtModel:
    """A LiteRT file of this project. It has the interface of `PredictClient`, and scores one video after the other.

    Args:
        path: Local path of the file.
        threads: Number of threads of the interpreter.

    Raises:
        UserError: There is no such file, or it is no LiteRT model of this project.
    """

    def __init__(self, path: str, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        if not os.path.isfile(path):
            raise UserError(f"there is no file {path}: give what yt8m export --litert wrote")
        try:
            # XNNPACK, the default, would keep a second copy of all kernels, packed for it.
            interpreter = Interpreter(
                path,
                num_threads=threads,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            signature = next(iter(interpreter.get_signature_list().values()), {"inputs": (), "outputs": ()})
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"{path} is no LiteRT model ({' '.join(str(error).split())}): export it again"
            ) from None
        if set(signature["inputs"]) != _INPUTS or set(signature["outputs"]) != _OUTPUTS:
            raise UserError(f"{path} is no model of this project: give what yt8m export --litert wrote")
        self._run = interpreter.get_signature_runner()
        self._lock = threading.Lock()
        self._names = _class_names(path)

    def run(self, rgb: np.ndarray, audio: np.ndarray, num_frames: np.ndarray) -> dict[str, np.ndarray]:
        """Answers as the signature of the file does; see `serving.export.litert.write_litert`."""
        with self._lock:  # an interpreter has one set of buffers
            return self._run(rgb=rgb, audio=audio, num_frames=num_frames)

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
        return classes, scores, None if self._names is None else self._names[classes]

    def close(self) -> None:
        """Does nothing: the interpreter goes with this object."""


def _inputs(example: bytes) -> dict[str, np.ndarray]:
    """What `LiteRtModel.run` takes, of a serialised SequenceExample."""
    parts = parse_parts(example, ANY_CLASSES)
    features = {
        name: np.frombuffer(getattr(parts, name), frame_dtype(size))["frame"]
        .copy()
        .view(np.uint8)
        .reshape(1, -1, size)
        for name, size in (("rgb", RGB_SIZE), ("audio", AUDIO_SIZE))
    }
    return {**features, "num_frames": np.array([parts.num_frames], np.int32)}


def _class_names(path: str) -> np.ndarray | None:
    """The names in the file's archive, bytes objects [V]; None where it has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return np.array(archive.read("labels.txt").splitlines(), object)
    except (zipfile.BadZipFile, KeyError):
        return None
