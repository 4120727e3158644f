"""Labels that move while the server runs, and models that it takes from a bucket."""

import os
import tempfile

import grpc
import pytest

from serving.server.models.model_config import ModelConfig
from serving.server.server import PredictionServer
from serving.store import model_store
from tests.gcs_emulator import BUCKET
from tests.serving.api import WAIT, Stubs, predict_request, states, wait_until
from trainer.base.errors import UserError


def version_of(stubs, label):
    """The version that answers for a label; None when there is no such label."""
    request = predict_request(examples=[b"abc"])
    request.model_spec.version_label = label
    try:
        return stubs.prediction.Predict(request, timeout=WAIT).model_spec.version.value
    except grpc.RpcError as error:
        if error.details() == f"Unrecognized servable version label: {label}":
            return None
        raise


@pytest.fixture
def base(models, tmp_path):
    base = str(tmp_path / "served")
    for model in (models[0], models[1], models[0]):
        model_store.publish(model, base)
    return base


def test_labels_move_without_a_restart(base):
    model_store.label(base, {"stable": 1, "canary": 2})
    with PredictionServer(base, "m", port=0, poll_seconds=0.05) as server:
        stubs = Stubs(server.port)
        # The newest, and what has a label.
        assert states(stubs) == [(3, "AVAILABLE"), (2, "AVAILABLE"), (1, "AVAILABLE")]
        assert (version_of(stubs, "stable"), version_of(stubs, "canary")) == (1, 2)
        model_store.label(base, {"stable": 3}, remove=["canary"])
        wait_until(lambda: states(stubs) == [(3, "AVAILABLE"), (2, "END"), (1, "END")])
        assert (version_of(stubs, "stable"), version_of(stubs, "canary")) == (3, None)


def test_a_label_stays_where_it_is_until_the_other_version_is_loaded(base, models, tmp_path):
    model_store.label(base, {"stable": 1})
    with PredictionServer(base, "m", port=0, poll_seconds=0.05) as server:
        stubs = Stubs(server.port)
        os.truncate(os.path.join(base, "2", "variables", "variables.index"), 10)
        model_store.label(base, {"stable": 2})
        wait_until(lambda: (2, "END") in states(stubs))
        assert version_of(stubs, "stable") == 1
        assert (1, "AVAILABLE") in states(stubs)
        model_store.label(base, {"stable": 3})
        wait_until(lambda: version_of(stubs, "stable") == 3)


def test_a_label_of_the_configuration_stays(base):
    model_store.label(base, {"stable": 2, "canary": 2})
    config = ModelConfig(name="m", base_path=base, labels={"stable": 3})
    with PredictionServer([config], port=0) as server:
        stubs = Stubs(server.port)
        assert (version_of(stubs, "stable"), version_of(stubs, "canary")) == (3, 2)


def test_unreadable_labels_are_the_users_error(base):
    with open(os.path.join(base, "labels.json"), "w", encoding="utf-8") as file:
        file.write("{")
    with pytest.raises(UserError, match=r"labels.json is not what"):
        PredictionServer(base, port=0).start()


def test_models_in_a_bucket_are_served(gcs, models, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    base = f"gs://{BUCKET}/models"
    with pytest.raises(UserError, match="no model to serve"):
        PredictionServer(base, port=0).start()
    model_store.publish(models[0], base)
    with PredictionServer(base, "m", port=0, poll_seconds=0.05) as server:
        stubs = Stubs(server.port)
        model_store.label(base, {"stable": 1})
        wait_until(lambda: version_of(stubs, "stable") == 1)
        model_store.publish(models[1], base)
        wait_until(lambda: states(stubs) == [(2, "AVAILABLE"), (1, "AVAILABLE")])
        assert version_of(stubs, "stable") == 1
    assert not [name for name in os.listdir(tmp_path) if name.startswith("yt8m-model-")]


def test_a_version_that_is_damaged_in_the_bucket_is_not_loaded(gcs, models):
    base = f"gs://{BUCKET}/models"
    model_store.publish(models[0], base)
    name = "models/1/variables/variables.data-00000-of-00001"
    gcs.storage._store.write_bytes(f"{BUCKET}/{name}", b"other weights")
    gcs.storage.objects[BUCKET][name].update(crc32c=None, md5Hash=None)
    with pytest.raises(UserError, match=r"version 1 in gs://bucket/models does not load"):
        PredictionServer(base, port=0).start()
