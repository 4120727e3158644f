"""The weights that a training starts from: those of a member of the served model, or of another one.

Where the run that made the model has left the member in float32, its weights are taken from there, and else as they
are decoded from the form that they are stored in.
"""

import logging
import posixpath
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from serving.export.card import ModelCard
from serving.export.codecs import FLOAT32
from serving.export.saved_model import read_weights
from serving.store.model_store import GRAPH, saved_model_path
from trainer.base.errors import UserError
from trainer.base.files import exists, is_local
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import Arrays

_logger = logging.getLogger("yt8m.train")


@dataclass(frozen=True)
class Start:
    """Weights to start from.

    Attributes:
        weights: The float32 tensors by name.
        place: Directory of the SavedModel that they were read from.
    """

    weights: Arrays
    place: str


def find_start(spec: ModelSpec, model: str, model_run: str) -> Start | None:
    """Finds the weights of a model's member of the same architecture.

    Args:
        spec: The model that is to be trained.
        model: Directory of a SavedModel of ours or of versions of one, of which the newest is taken.
        model_run: Directory of the artifact of this training, beside which a local run's other artifacts lie.

    Returns:
        The weights; None where there is no model yet, or none of its members is of this architecture and these classes.

    Raises:
        UserError: If the model is none of ours, or damaged.
    """
    path = saved_model_path(model)
    if not exists(posixpath.join(path, GRAPH)):
        return None
    card = ModelCard.load(path)
    names = [member.variant for member in card.members]
    if card.num_classes != spec.num_classes or spec.name not in names:
        return None
    member = names.index(spec.name)
    stored = read_weights(path, member)
    untouched = [tensor.name for tensor in card.members[member].tensors if tensor.encoding == str(FLOAT32)]
    # Tensors that are stored as they are tell one training from another: biases, scales, moving statistics.
    for averaged in _averaged_models(spec, model_run):
        weights = _weights_of(averaged)
        if weights and all(np.array_equal(weights[name], stored[name]) for name in untouched):
            return Start(weights, averaged)
    return Start(stored, path)


def _averaged_models(spec: ModelSpec, model_run: str) -> list[str]:
    """Returns the models that averagers of a local run have left, the newest first: `<node>/model/<number>`."""
    if not is_local(model_run):
        return []
    artifacts = posixpath.dirname(posixpath.dirname(posixpath.dirname(model_run.rstrip("/"))))
    found = tf.io.gfile.glob(
        posixpath.join(artifacts, f"CheckpointAverager-{spec.name}", "model", "[0-9]*", "Format-Serving")
    )
    return sorted(found, key=lambda path: int(posixpath.basename(posixpath.dirname(path))), reverse=True)


def _weights_of(directory: str) -> Arrays:
    try:
        return read_weights(directory)
    except UserError as error:
        _logger.warning("%s is passed over: %s", directory, error)
        return {}
