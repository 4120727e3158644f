"""Reading what other components left, wherever it is, without TensorFlow where it is on this machine."""

import json
from typing import Any

from trainer.base.files import exists, open_file

_RENAMED = {"float16_mib": "stored_mib", "float16_bytes": "stored_bytes", "gap_float16": "gap_stored"}
"""Keys in reports of versions that knew one stored form only, float16, and what the keys are called now."""


def read_bytes(path: str) -> bytes:
    """Reads a whole file."""
    with open_file(path, "rb") as file:
        return file.read()


def read_json(path: str) -> dict[str, Any] | None:
    """Reads a JSON object; None where the step that writes it was left out, or ended before it wrote it."""
    return parse_json(read_bytes(path)) if exists(path) else None


def parse_json(text: str | bytes) -> Any:
    """Parses a JSON document. Keys that older reports have under another name get the names of today."""
    return json.loads(
        text, object_hook=lambda found: {_RENAMED.get(key, key): value for key, value in found.items()}
    )
