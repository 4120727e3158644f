"""Predictions of a SavedModel in this process, without a server."""

import posixpath
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from serving.model_store import saved_model_path
from serving.predict_request import DEFAULT_SIGNATURE
from serving.servable import Servable
from serving.store import GRAPH
from trainer.errors import UserError


class LocalPredictor:
    """A model loaded as a server loads it, with the interface of `PredictClient`.

    Args:
        directory: Of a SavedModel, or of its versions, of which the newest is taken.

    Raises:
        UserError: If there is no SavedModel of ours that loads.
    """

    def __init__(self, directory: str) -> None:
        path = saved_model_path(directory)
        if not tf.io.gfile.exists(posixpath.join(path, GRAPH)):
            raise UserError(
                f"{directory} has no model: give a directory with saved_model.pb, or with versions of one"
            )
        try:
            self._servable = Servable(path, "local", 1)
        except (OSError, tf.errors.OpError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{path} does not load ({reason}): export or push the model again") from None
        signature = self._servable.signatures.get(DEFAULT_SIGNATURE)
        if signature is None or set(signature.inputs) != {"examples"} or "classes" not in signature.outputs:
            self._servable.close()
            raise UserError(f"{path} is not a YT-8M model: its {DEFAULT_SIGNATURE} does not take examples")
        self.path = path
        """Of the SavedModel itself."""
        self._feed = signature.inputs["examples"].name
        self._fetches = [signature.outputs[alias].name for alias in ("classes", "scores")]

    def predict(self, examples: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """The best classes of each video: int64 [B, k] and their scores, float32 [B, k], descending.

        Raises:
            UserError: If the model refuses a video.
        """
        try:
            classes, scores = self._servable.run({self._feed: np.array(examples, object)}, self._fetches)
        except tf.errors.InvalidArgumentError as error:
            raise UserError(f"the model refuses the request ({' '.join(error.message.split())})") from None
        return classes, scores

    def close(self) -> None:
        """Frees the model's memory."""
        self._servable.close()
