"""Baseline's executor: unpacks artifacts and calls."""

import logging
import os
import tempfile
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import Artifact, artifact_utils
from tfx.utils import path_utils

from components.baseline.served import check_comparable, copy_served_model
from components.remote_tree import copy_remote_tree
from trainer.base.files import is_local

_logger = logging.getLogger("yt8m.baseline")

VERSION_PROPERTY = "served_version"
"""Custom property of the artifact; a consumer that is handed one without it has no baseline."""


class Executor(base_executor.BaseExecutor):
    """See `copy_served_model`."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Hands out the served model, or no artifact at all.

        The model is loaded before it is handed out, since the Evaluator, which needs it, runs after all training.

        TFX publishes the artifacts that it finds in `output_dict` after this; an emptied list is published as
        none, and the optional input of the Evaluator resolves to none.

        Raises:
            UserError: If no candidate can be compared with the served model.
        """
        base = exec_properties["push_destination"]
        model = artifact_utils.get_single_instance(output_dict["model"])
        version = _copy(base, path_utils.serving_model_dir(model.uri))
        if version is None:
            _logger.info("baseline: nothing is served from %s yet", base)
            output_dict["model"].clear()
            return
        _logger.info("baseline: version %d of %s", version, base)
        model.set_int_custom_property(VERSION_PROPERTY, version)
        model.set_string_custom_property("served_from", base)


def _copy(base: str, target: str) -> int | None:
    if is_local(target):
        return _checked_copy(base, target)
    with tempfile.TemporaryDirectory() as directory:
        local = os.path.join(directory, "model")
        version = _checked_copy(base, local)
        if version is not None:
            copy_remote_tree(local, target)
    return version


def _checked_copy(base: str, target: str) -> int | None:
    version = copy_served_model(base, target)
    if version is not None:
        check_comparable(target, base, version)
    return version
