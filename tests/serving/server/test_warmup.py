"""Requests that a version has to answer before it is available."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from serving.server.models.servable import Servable
from serving.server.server import PredictionServer
from serving.store import model_store
from tests.serving.api import Stubs, predict_request, states, wait_until
from trainer.base.errors import UserError


def with_warmup(model, directory, *requests):
    """A copy of a model with these warm-up requests."""
    copy = shutil.copytree(model, directory)
    (directory / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(directory / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for request in requests:
            log = request if isinstance(request, PredictionLog) else PredictionLog()
            if log is not request:
                log.predict_log.request.CopyFrom(request)
            writer.write(log.SerializeToString())
    return str(copy)


def test_warm_up_runs_before_a_version_is_available_and_can_fail_it(models, tmp_path, monkeypatch):
    base, asked, run = str(tmp_path / "base"), [], Servable.run

    def record(self, feeds, fetches):
        asked.append((self.version, next(iter(feeds.values())).tolist()))
        return run(self, feeds, fetches)

    monkeypatch.setattr(Servable, "run", record)
    good = predict_request(examples=[b"warm", b"up"])
    model_store.publish(with_warmup(models[0], tmp_path / "good", good), base)
    with PredictionServer(base, "m", port=0, poll_seconds=0.02) as server:
        assert asked == [(1, [b"warm", b"up"])]
        stubs = Stubs(server.port)
        bad = predict_request(examples=[b"fine", b""])
        model_store.publish(with_warmup(models[1], tmp_path / "bad", good, bad), base)
        wait_until(lambda: states(stubs) == [(2, "END"), (1, "AVAILABLE")])
        (two,) = (state for state in server._models["m"].states() if state.version == 2)
        assert two.error.startswith("warm-up request 1 fails: ")
        assert "[row] [1] [is empty]" in two.error
        stubs.channel.close()


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (predict_request("s"), 'Serving signature key "s" not found'),
        (predict_request(examples=np.float32([1])), "Expects arg.0. to be string"),
        (PredictionLog(classify_log={}), "only a predict_log is run here. Received: classify_log"),
    ],
)
def test_warm_up_requests_are_checked_like_any_other(models, tmp_path, request_, problem):
    base = str(tmp_path / "base")
    model_store.publish(with_warmup(models[0], tmp_path / "m", request_), base)
    with pytest.raises(UserError, match=f"does not load .warm-up request 0 fails: .*{problem}"):
        PredictionServer(base, port=0).start()


def test_damaged_warm_up_requests_fail_a_version(models, tmp_path):
    base = str(tmp_path / "base")
    source = with_warmup(models[0], tmp_path / "m", predict_request(examples=[b"x"]))
    path = tmp_path / "m" / "assets.extra" / "tf_serving_warmup_requests"
    path.write_bytes(path.read_bytes()[:-3])
    model_store.publish(source, base)
    with pytest.raises(UserError, match="warm-up request 0 fails"):
        PredictionServer(base, port=0).start()
