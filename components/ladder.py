"""Where the stored forms of one model lie in an artifact.

The first one is where every model is, so that what knows nothing of ladders finds a model; the others lie beside it.
"""

import posixpath

import tensorflow as tf
from tfx.utils import path_utils

_FORMS = "forms"


def form_directory(uri: str, index: int) -> str:
    """Returns the directory of the form of this index in a Model artifact that is being written."""
    if index == 0:
        return path_utils.serving_model_dir(uri)
    return posixpath.join(uri, _FORMS, f"{index:03d}")


def form_directories(uri: str) -> list[str]:
    """Returns the SavedModels of a Model artifact in the order of its ladder; one where there is a single form."""
    others = posixpath.join(uri, _FORMS)
    names = (
        sorted(name.rstrip("/") for name in tf.io.gfile.listdir(others)) if tf.io.gfile.isdir(others) else []
    )
    return [path_utils.serving_model_path(uri), *(posixpath.join(others, name) for name in names)]
