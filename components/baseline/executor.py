"""Baseline's executor: unpacks artifacts and calls."""

import logging
import os
import tempfile

from components.baseline.served import hand_out
from components.remote_tree import copy_remote_tree
from components.step_executor import Step, StepExecutor
from trainer.base.files import is_local

_logger = logging.getLogger("yt8m.baseline")

VERSION_PROPERTY = "served_version"
"""Custom property of the artifact; a consumer that is handed one without it has no baseline."""


class Executor(StepExecutor):
    """Hands out the served model; see `hand_out`."""

    def run(self, step: Step) -> None:
        """Hands out the served model, or no artifact at all.

        TFX publishes the artifacts that it finds among the outputs after this; an emptied list is published as
        none, and the optional input of the Evaluator resolves to none.

        Raises:
            UserError: If nothing can be pushed there, or no candidate can be compared with the served model.
        """
        base = step.parameters["push_destination"]
        model = step.output("model")
        version = _copy(base, step.output_model("model"), step.parameters.get("num_classes"))
        if version is None:
            _logger.info("baseline: nothing is served from %s yet", base)
            step.outputs["model"].clear()
            return
        _logger.info("baseline: version %d of %s", version, base)
        model.set_int_custom_property(VERSION_PROPERTY, version)
        model.set_string_custom_property("served_from", base)


def _copy(base: str, target: str, num_classes: int | None) -> int | None:
    if is_local(target):
        return hand_out(base, target, num_classes)
    with tempfile.TemporaryDirectory() as directory:
        local = os.path.join(directory, "model")
        version = hand_out(base, local, num_classes)
        if version is not None:
            copy_remote_tree(local, target)
    return version
