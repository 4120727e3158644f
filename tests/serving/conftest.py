"""Tiny models, and a server of one, shared by the tests of servers."""

import threading
from typing import NamedTuple

import pytest

from serving.server.models.servable import Servable
from serving.server.server import PredictionServer, ServerOptions
from serving.store import model_store
from tests.serving.api import Stubs
from tests.serving.tiny_model import write_tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Three models, which score once, twice and three times as much."""
    directory = tmp_path_factory.mktemp("models")
    return [write_tiny_model(str(directory / f"x{factor}"), factor) for factor in (1.0, 2.0, 3.0)]


@pytest.fixture(scope="module")
def base(models, tmp_path_factory):
    """A directory with the three models as versions 1, 2 and 3."""
    directory = str(tmp_path_factory.mktemp("base"))
    for model in models:
        model_store.publish(model, directory)
    return directory


@pytest.fixture(scope="module")
def server(models, tmp_path_factory):
    base = str(tmp_path_factory.mktemp("served"))
    model_store.publish(models[0], base)
    with PredictionServer(base, model_name="m", port=0) as server:
        yield server


@pytest.fixture(scope="module")
def rest(models, tmp_path_factory):
    """A server of version 1, labelled stable, that also listens for HTTP."""
    base = str(tmp_path_factory.mktemp("rest"))
    model_store.publish(models[0], base)
    model_store.label(base, {"stable": 1})
    with PredictionServer(base, model_name="m", port=0, options=ServerOptions(http_port=0)) as server:
        yield server


@pytest.fixture
def stubs(server):
    stubs = Stubs(server.port)
    yield stubs
    stubs.channel.close()


class HeldRun(NamedTuple):
    """A servable that answers no request until it may.

    Attributes:
        entered: Is set when a request has come to the model.
        go_on: Lets all requests on when it is set.
        asked: The first input of each request that has come to the model.
    """

    entered: threading.Event
    go_on: threading.Event
    asked: list[list]


@pytest.fixture
def held_run(monkeypatch: pytest.MonkeyPatch) -> HeldRun:
    """Holds up every run of a model in this process."""
    held, run = HeldRun(threading.Event(), threading.Event(), []), Servable.run

    def slow_run(self, feeds, fetches):
        held.asked.append(next(iter(feeds.values())).tolist())
        held.entered.set()
        assert held.go_on.wait(60)
        return run(self, feeds, fetches)

    monkeypatch.setattr(Servable, "run", slow_run)
    return held
