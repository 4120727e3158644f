"""The RunReport's executor: unpacks artifacts and calls."""

import json
import posixpath

import tensorflow as tf

from components.run_report.inputs import AVERAGING, COMPRESSION, TRAINING
from components.run_report.metrics import scalar_metrics
from components.run_report.page import render_page
from components.run_report.run_facts import RunArtifact, facts_from_inside
from components.run_report.sources import read_run
from components.run_report.tables import markdown
from components.step_executor import Step, StepExecutor

MARKDOWN_FILE, PAGE_FILE = "report.md", "report.html"


class Executor(StepExecutor):
    """Puts the reports of a run together; see `read_run` and `render_page`."""

    def run(self, step: Step) -> None:
        """Writes the report as JSON, Markdown and HTML, and its main numbers as metrics."""
        recipe = json.loads(step.parameters["recipe"])
        graph = json.loads(step.parameters["graph"])
        uris = {key: found[0].uri for key, found in sorted(step.inputs.items()) if found}
        each = (TRAINING, AVERAGING, COMPRESSION)
        names = json.loads(step.parameters["names"])
        artifacts = [
            RunArtifact(id=None, node=None, key=key, type=step.inputs[key][0].type_name, uri=uri)
            for key, uri in uris.items()
        ]
        report = read_run(
            facts_from_inside(step.parameters["run_id"], recipe, graph, artifacts),
            {key: uri for key, uri in uris.items() if not key.startswith(each)},
            *(
                {
                    names[int(key.removeprefix(prefix))]: uri
                    for key, uri in uris.items()
                    if key.startswith(prefix)
                }
                for prefix in each
            ),
        )
        page = render_page(report)
        directory = step.output_dir("report")
        report.write(directory)
        _write(posixpath.join(directory, MARKDOWN_FILE), markdown(report))
        _write(posixpath.join(directory, PAGE_FILE), page)
        address = step.output_dir("page")
        if tf.io.gfile.isdir(address):  # TFX makes a directory for every output
            tf.io.gfile.rmtree(address)
        _write(address, page)
        for name, value in scalar_metrics(report).items():
            step.output("metrics").set_float_custom_property(name, value)


def _write(path: str, text: str) -> None:
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(text)
