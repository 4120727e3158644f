"""This project's own operations and TensorFlow's, which compute the same."""

import pytest
import tensorflow as tf

from trainer.model import frames
from trainer.native import operations
from trainer.training import optimizer


@pytest.fixture(params=["native", "tensorflow"])
def both_kinds(request, monkeypatch):
    """Runs a test with this project's own operations, and without them, as on GPUs."""
    if request.param == "native":
        if tf.config.list_physical_devices("GPU"):
            pytest.skip("with a GPU TensorFlow's operations run")
        assert operations(), "make setup compiles them"
        return
    for module in (frames, optimizer):
        monkeypatch.setattr(module, "operations", lambda: None)
