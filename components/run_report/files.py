"""Reading what other components left, wherever it is, without TensorFlow where it is on this machine."""

import json
import os
from typing import Any

from trainer.base.files import is_local, open_file

_RENAMED = {"float16_mib": "stored_mib", "float16_bytes": "stored_bytes", "gap_float16": "gap_stored"}
"""Keys of reports of before models were stored by codecs."""


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
    return parse_json(read_bytes(path)) if exists(path) else None


def parse_json(text: str | bytes) -> Any:
    """The value that a JSON document is; keys that reports had under another name have today's."""
    return json.loads(
        text, object_hook=lambda found: {_RENAMED.get(key, key): value for key, value in found.items()}
    )
