"""The RunReport's executor: unpacks artifacts and calls."""

import json
import posixpath
from typing import Any

import tensorflow as tf
from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils

from components.report_file import write_report
from components.run_report.inputs import AVERAGING, COMPRESSION, TRAINING
from components.run_report.metrics import scalar_metrics
from components.run_report.page import render_page
from components.run_report.report import assemble_report
from components.run_report.run_facts import facts_from_inside
from components.run_report.sources import read_sources
from components.run_report.tables import markdown

MARKDOWN_FILE, PAGE_FILE = "report.md", "report.html"

_Artifacts = dict[str, list[Artifact]]


class Executor(base_executor.BaseExecutor):
    """See `assemble_report` and `render_page`."""

    def Do(  # noqa: N802
        self, input_dict: _Artifacts, output_dict: _Artifacts, exec_properties: dict[str, Any]
    ) -> None:
        """Puts the reports together."""
        recipe = json.loads(exec_properties["recipe"])
        graph = json.loads(exec_properties["graph"])
        uris = {key: found[0].uri for key, found in sorted(input_dict.items()) if found}
        each = (TRAINING, AVERAGING, COMPRESSION)
        sources = read_sources(
            {key: uri for key, uri in uris.items() if not key.startswith(each)},
            {
                recipe["variants"][int(key.removeprefix(TRAINING))]: uri
                for key, uri in uris.items()
                if key.startswith(TRAINING)
            },
            *([uri for key, uri in uris.items() if key.startswith(prefix)] for prefix in each[1:]),
        )
        artifacts = [
            {"id": None, "node": None, "key": key, "type": input_dict[key][0].type_name, "uri": uri}
            for key, uri in uris.items()
        ]
        run = facts_from_inside(
            recipe["name"], exec_properties["run_id"], recipe, graph, list(graph)[-1], artifacts
        )
        report = assemble_report(run=run, **sources)
        page = render_page(report)
        directory = artifact_utils.get_single_uri(output_dict["report"])
        write_report(directory, report)
        _write(posixpath.join(directory, MARKDOWN_FILE), markdown(report))
        _write(posixpath.join(directory, PAGE_FILE), page)
        address = artifact_utils.get_single_uri(output_dict["page"])
        if tf.io.gfile.isdir(address):  # TFX makes a directory for every output
            tf.io.gfile.rmtree(address)
        _write(address, page)
        metrics = artifact_utils.get_single_instance(output_dict["metrics"])
        for name, value in scalar_metrics(report).items():
            metrics.set_float_custom_property(name, value)


def _write(path: str, text: str) -> None:
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(text)
