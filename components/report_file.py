"""Writing and reading `report.json`, the content of a Report artifact."""

import json
import posixpath
from typing import Any

import tensorflow as tf

_NAME = "report.json"


def write_report(directory: str, report: dict[str, Any]) -> None:
    """Writes a JSON object as the report of an artifact's directory."""
    tf.io.gfile.makedirs(directory)
    with tf.io.gfile.GFile(posixpath.join(directory, _NAME), "w") as file:
        file.write(json.dumps(report, indent=2, allow_nan=False) + "\n")


def read_report(directory: str) -> dict[str, Any]:
    """The report in an artifact's directory."""
    with tf.io.gfile.GFile(posixpath.join(directory, _NAME)) as file:
        return json.load(file)
