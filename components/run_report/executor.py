"""The RunReport's executor: unpacks artifacts and calls."""

import json
import posixpath
from typing import Any

import tensorflow as tf
from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from components.evaluator.files import REASONS_FILE, RESULTS_FILE
from components.report_file import write_report
from components.run_report.inputs import AVERAGING, COMPRESSION
from components.run_report.report import assemble_report
from components.run_report.tables import markdown

PUSH_FILE = "pushed.json"
"""In the pushed_model artifact: see `components.pusher.push.push`."""

MARKDOWN_FILE = "report.md"

_FILES = {
    "data": "report.json",
    "ensemble": "report.json",
    "evaluation": RESULTS_FILE,
    "blessing": REASONS_FILE,
    "infra_blessing": REASONS_FILE,
    "push": PUSH_FILE,
}

_Artifacts = dict[str, list[Artifact]]


class Executor(base_executor.BaseExecutor):
    """See `assemble_report`; writes report.json and report.md."""

    def Do(  # noqa: N802
        self, input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """Puts the reports together."""
        del exec_properties
        report = assemble_report(
            **{key: _read(input_dict.get(key), name) for key, name in _FILES.items()},
            averaging=_read_all(input_dict, AVERAGING),
            compression=_read_all(input_dict, COMPRESSION),
        )
        uri = artifact_utils.get_single_uri(output_dict["report"])
        write_report(uri, report)
        with tf.io.gfile.GFile(posixpath.join(uri, MARKDOWN_FILE), "w") as file:
            file.write(markdown(report))


def _read_all(input_dict: _Artifacts, prefix: str) -> list[dict[str, Any]]:
    keys = sorted(key for key in input_dict if key.startswith(prefix))
    found = (_read(input_dict[key], "report.json") for key in keys)
    return [report for report in found if report is not None]


def _read(artifacts: list[Artifact] | None, name: str) -> dict[str, Any] | None:
    """The file of the artifact; None where the node was left out, or ended before it wrote one."""
    if not artifacts:
        return None
    path = posixpath.join(artifacts[0].uri, name)
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path) as file:
        return json.load(file)
