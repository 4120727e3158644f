"""Predictions of a SavedModel in this process, without a server."""

import weakref
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from serving.server.models.servable import Servable
from serving.server.predict_request import DEFAULT_SIGNATURE
from serving.store.model_store import whole_model_path
from serving.store.whole_model import check_model, explained
from trainer.base.errors import UserError


class LocalPredictor:
    """Predicts by a model that is loaded as a server loads it. It has the interface of `PredictClient`.

    Args:
        directory: Directory of a SavedModel, or of its versions.
        version: Number of the version; None for the newest.

    Raises:
        UserError: There is no model there, it is not of this project, or it does not load.
    """

    def __init__(self, directory: str, version: int | None = None) -> None:
        path = whole_model_path(directory, version)
        check_model(path)
        with explained(path):
            self._servable = Servable(path, "local", 1)
        self._close = weakref.finalize(self, self._servable.close)
        signature = self._servable.signatures.get(DEFAULT_SIGNATURE)
        if signature is None or set(signature.inputs) != {"examples"} or "classes" not in signature.outputs:
            self.close()
            raise UserError(f"{path} is not a YT-8M model: its {DEFAULT_SIGNATURE} does not take examples")
        self.path = path
        """Directory of the SavedModel that is loaded."""
        self._feed = signature.inputs["examples"].name
        self._fetches = [signature.outputs[alias].name for alias in ("classes", "scores")]
        self._names = [signature.outputs["labels"].name] if "labels" in signature.outputs else []

    def predict(self, examples: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Predicts B videos.

        Args:
            examples: B serialised SequenceExamples.

        Returns:
            The best classes of each video, int64 [B, k], and their scores, float32 [B, k], descending.

        Raises:
            UserError: The model refuses a video.
        """
        classes, scores = self._run(examples, self._fetches)
        return classes, scores

    def predict_named(self, examples: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Predicts like `predict`, and returns the names of the classes as well: bytes objects [B, k], or None."""
        classes, scores, *names = self._run(examples, self._fetches + self._names)
        return classes, scores, names[0] if names else None

    def close(self) -> None:
        """Frees the model's memory; without this call it is freed with this object."""
        self._close()

    def _run(self, examples: Sequence[bytes], fetches: Sequence[str]) -> list[np.ndarray]:
        try:
            return self._servable.run({self._feed: np.array(examples, object)}, fetches)
        except tf.errors.InvalidArgumentError as error:
            raise UserError(f"the model refuses the request ({' '.join(error.message.split())})") from None
