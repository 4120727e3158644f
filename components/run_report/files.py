"""Reading what other components left, wherever it is, without TensorFlow where it is on this machine."""

import json
import os
from typing import Any

from trainer.files import is_local, open_file


def exists(path: str) -> bool:
    """Whether there is a file."""
    if is_local(path):
        return os.path.isfile(path)
    import tensorflow as tf

    return tf.io.gfile.exists(path)


def read_bytes(path: str) -> bytes:
    """The content of a file."""
    with open_file(path, "rb") as file:
        return file.read()


def read_json(path: str) -> dict[str, Any] | None:
    """A JSON object; None where the step that writes it was left out, or ended before it did."""
    return json.loads(read_bytes(path)) if exists(path) else None
