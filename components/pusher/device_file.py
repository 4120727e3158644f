"""The LiteRT file that goes with a pushed version, so that devices download what the servers serve."""

import logging
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from serving.export.device_weights import DeviceWeights
from serving.inference.device_export import DeviceCheck, export_litert

_logger = logging.getLogger("yt8m.pusher")


@dataclass(frozen=True, kw_only=True)
class DeviceFile:
    """A LiteRT file that passed its check.

    Attributes:
        weights: How its kernels are stored.
        content: Bytes of the file.
        check: What the check found.
    """

    weights: DeviceWeights
    content: bytes
    check: DeviceCheck


def device_file(model_dir: str, weights: str, files: Sequence[str]) -> DeviceFile:
    """Makes the LiteRT file of a model and checks it.

    Args:
        model_dir: Local directory of the model's SavedModel.
        weights: See `serving.export.device_weights.DeviceWeights`.
        files: Files of labelled videos to check with, at least one.

    Raises:
        UserError: LiteRT cannot run the model, or the file loses more GAP than it may.
    """
    stored = DeviceWeights(weights)
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "yt8m.tflite")
        check = export_litert(model_dir, path, stored, files)
        assert check is not None  # there are files
        _logger.info("LiteRT file with weights of %s: %s", stored, check)
        with open(path, "rb") as file:
            return DeviceFile(weights=stored, content=file.read(), check=check)
