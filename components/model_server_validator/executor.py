"""The ModelServerValidator's executor: unpacks artifacts and calls."""

import logging
import posixpath

import tensorflow as tf

from components.model_server_validator.probes import choose_probes
from components.model_server_validator.validation import validate_server
from components.remote_tree import local_tree
from components.step_executor import Step, StepExecutor

_logger = logging.getLogger("yt8m.model_server_validator")

_MARKS = {True: "INFRA_BLESSED", False: "INFRA_NOT_BLESSED"}
"""Empty files that TFX's InfraValidator writes, for whoever looks for those."""


class Executor(StepExecutor):
    """Asks the embedded server about real videos; see `validate_server`."""

    def run(self, step: Step) -> None:
        """Blesses the model, or says why not."""
        blessing = step.output("blessing")
        probes = choose_probes(step.files("eval"))
        with local_tree(step.input_model("model")) as directory:
            verdict = validate_server(directory, probes)
        verdict.write(blessing.uri)
        with tf.io.gfile.GFile(posixpath.join(blessing.uri, _MARKS[verdict.blessed]), "w") as file:
            file.write("")
        # What TFX's and our Pusher read.
        blessing.set_int_custom_property("blessed", int(verdict.blessed))
        for reason in verdict.reasons:
            _logger.info("model server: %s", reason)
