"""Checks in seconds that a SavedModel can be scored, before a run that may take days.

Legend: V classes.
"""

import os

import numpy as np
import tensorflow as tf

from serving.server.models.servable import Servable
from serving.store.version_store import NEEDED
from serving.store.whole_model import check_model
from trainer.base.errors import UserError
from trainer.data.encoding import encode_frames, sequence_example
from trainer.data.yt8m import AUDIO_SIZE, RGB_SIZE

PREDICTIONS = "predictions"
"""Name of the signature that turns records into the probabilities of all classes."""


def load_problem(directory: str, num_classes: int | None = None) -> str | None:
    """Loads a SavedModel, asks it for the probabilities of a video with one black frame, and unloads it.

    TensorFlow verifies the checksums of the weights while it loads them.

    Args:
        directory: Local directory that should hold saved_model.pb and variables/.
        num_classes: The recipe's V, which the model should have; None for any.

    Returns:
        What is wrong, as a part of a sentence whose subject is the model; None when it answers.
    """
    for name in NEEDED:
        if not os.path.isfile(os.path.join(directory, name)):
            return f"has no {name}"
    try:
        check_model(directory)
        model = Servable(directory, name="checked", version=0)
    except UserError as error:
        return f"is damaged: {error}"
    except (OSError, tf.errors.OpError) as error:
        return f"does not load: {_first_line(error)}"
    try:
        return _answer_problem(model, num_classes)
    finally:
        model.close()


def _answer_problem(model: Servable, num_classes: int | None) -> str | None:
    if PREDICTIONS not in model.signatures:
        names = ", ".join(sorted(name for name in model.signatures if not name.startswith("__"))) or "none"
        return f"has no signature {PREDICTIONS!r} (it has {names})"
    signature = model.signatures[PREDICTIONS]
    if set(signature.inputs) != {"examples"} or PREDICTIONS not in signature.outputs:
        return f"has a signature {PREDICTIONS!r} that does not lead from 'examples' to {PREDICTIONS!r}"
    rgb, audio = (encode_frames(np.zeros((1, size), np.uint8)) for size in (RGB_SIZE, AUDIO_SIZE))
    record = np.array([sequence_example(b"black", [], rgb, audio)], object)
    try:
        (scores,) = model.run(
            {signature.inputs["examples"].name: record}, [signature.outputs[PREDICTIONS].name]
        )
    except tf.errors.OpError as error:
        return f"loads, but does not answer for a video: {_first_line(error)}"
    if scores.ndim != 2 or len(scores) != 1 or not np.isfinite(scores).all():
        return f"answers for one video with {scores.shape} numbers, of which not all may be finite"
    if num_classes not in (None, scores.shape[1]):
        return (
            f"has {scores.shape[1]} classes, and data.num_classes is {num_classes} (set that one to the same)"
        )
    return None


def _first_line(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error)
    return next(iter(text.strip().splitlines()), type(error).__name__)[:300]
