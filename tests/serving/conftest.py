"""A server of a tiny model, shared by the tests of its answers and of its life."""

import pytest

from serving import model_store
from serving.server import PredictionServer
from tests.serving.api import Stubs
from tests.serving.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two models: the second scores twice as much as the first."""
    directory = tmp_path_factory.mktemp("models")
    return [write_tiny_model(str(directory / f"x{factor}"), factor) for factor in (1.0, 2.0)]


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    base = str(tmp_path_factory.mktemp("served"))
    model_store.publish(models[0], base)
    with PredictionServer(base, model_name="m", port=0) as server:
        yield server


@pytest.fixture
def stubs(server):
    stubs = Stubs(server.port)
    yield stubs
    stubs.channel.close()
