"""What a model does when it is loaded: exact values, failures there and not later, memory given back."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from serving.export.codecs import FLOAT16
from serving.export.compression import compress
from serving.export.saved_model import Member, write_saved_model
from serving.export.stored_form import StoredForm
from serving.server.models.servable import Servable
from serving.server.models.warmup import run_warmup, write_warmup
from serving.server.server import PredictionServer
from serving.store import model_store
from tests.records import random_example
from tests.serving.c_api import run_c_api
from tests.serving.export.test_saved_model import make_member
from trainer.base.errors import UserError
from trainer.data.records import parse_video
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

CLASSES = 40


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    directory = str(tmp_path_factory.mktemp("model") / "saved")
    write_saved_model(directory, [make_member("K2-H4", 1, 0.7), make_member("K2-H3", 2, 0.3)])
    return directory


@pytest.fixture(scope="module")
def examples():
    generator = np.random.default_rng(0)
    return [random_example(generator, count) for count in (3, 1, 5)]


def session_answer(directory, examples):
    servable = Servable(directory, "m", 1)
    try:
        signature = servable.signatures["predictions"]
        feeds = {signature.inputs["examples"].name: np.array(examples, object)}
        return servable.run(feeds, [signature.outputs["predictions"].name])[0]
    finally:
        servable.close()


def test_all_three_loaders_give_the_same_bits(model_dir, examples):
    answer = run_c_api(model_dir, "predictions", examples, "predictions")
    assert answer["error"] is None
    assert not {"tensorflow", "serving", "trainer", "numpy"} & set(answer["modules"])
    native = np.frombuffer(bytes.fromhex(answer["outputs"][0]), np.float32).reshape(len(examples), CLASSES)
    assert native.min() > 0  # no answer of zeros that would equal another
    np.testing.assert_array_equal(native, session_answer(model_dir, examples))
    model = tf.saved_model.load(model_dir)
    eager = model.signatures["predictions"](examples=tf.constant(examples))["predictions"]
    np.testing.assert_array_equal(native, eager)


FORMS = (
    "int8",
    "int4-b32+gating_prob/weights=lowrank-r5-int8",
    "sparse-k30-int4-b64+hidden1/weights=int4-b128+gates/weights=lowrank-r3-float16",
)


def test_all_three_loaders_decode_every_codec_to_the_same_bits(examples, tmp_path):
    spec, directory = ModelSpec.parse("K2-H4", CLASSES), str(tmp_path / "m")
    stored = [compress(spec, initial_weights(spec, 1), StoredForm.parse(form)) for form in FORMS]
    write_saved_model(directory, [Member(spec=spec, weights=weights, weight=1 / 3) for weights in stored])
    answer = run_c_api(directory, "predictions", examples, "predictions")
    assert answer["error"] is None
    native = np.frombuffer(bytes.fromhex(answer["outputs"][0]), np.float32).reshape(len(examples), CLASSES)
    np.testing.assert_array_equal(native, session_answer(directory, examples))
    model = tf.saved_model.load(directory)
    eager = model.signatures["predictions"](examples=tf.constant(examples))["predictions"].numpy()
    np.testing.assert_array_equal(native, eager)
    # They are the answers of the very weights that `decode` gives.
    plain = [
        Member(spec=spec, weights={name: value.decode() for name, value in weights.items()}, weight=1 / 3)
        for weights in stored
    ]
    write_saved_model(str(tmp_path / "plain"), plain)
    np.testing.assert_array_equal(native, session_answer(str(tmp_path / "plain"), examples))


def without_index(variables):
    os.unlink(os.path.join(variables, "variables.index"))


def without_data(variables):
    os.unlink(os.path.join(variables, "variables.data-00000-of-00001"))


def half_the_data(variables):
    path = os.path.join(variables, "variables.data-00000-of-00001")
    os.truncate(path, os.path.getsize(path) // 2)


DAMAGES = (without_index, without_data, half_the_data)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_fails_when_it_is_loaded(model_dir, examples, tmp_path, damage):
    broken = shutil.copytree(model_dir, str(tmp_path / "1"))
    damage(os.path.join(broken, "variables"))
    answer = run_c_api(broken, "predictions", examples, "predictions")
    assert answer["error"]
    assert answer["outputs"] == []
    with pytest.raises((OSError, tf.errors.OpError)):
        Servable(broken, "m", 1)
    with pytest.raises((OSError, tf.errors.OpError, IndexError)):  # the last is how its reader says it
        tf.saved_model.load(broken)


@pytest.mark.parametrize("damage", DAMAGES)
def test_our_server_also_refuses_a_float32_model_without_its_checkpoint(tmp_path, damage):
    """TensorFlow's own loader takes one without an index, and fails at the first request."""
    source = str(tmp_path / "source")
    write_saved_model(source, [make_member("K2-H3", 1, compress=False)])
    base = str(tmp_path / "base")
    damage(os.path.join(model_store.publish(source, base).path, "variables"))
    with pytest.raises(UserError, match=r"version 1 .* does not load"):
        PredictionServer(base, port=0).start()


def test_the_warm_up_requests_that_are_exported_run(model_dir, tmp_path):
    warm = shutil.copytree(model_dir, str(tmp_path / "m"))
    assert write_warmup(warm) is None
    servable = Servable(warm, "m", 1)
    try:
        assert run_warmup(servable, warm) == 2
        assert run_warmup(servable, model_dir) == 0
    finally:
        servable.close()
    path = tmp_path / "m" / "assets.extra" / "tf_serving_warmup_requests"
    videos = [
        PredictionLog.FromString(record.numpy()).predict_log.request.inputs["examples"].string_val
        for record in tf.data.TFRecordDataset(str(path))
    ]
    assert [[parse_video(video).num_frames for video in batch] for batch in videos] == [[1], [300] + [1] * 15]


MEMORY_LOADS = 14
MEMORY_GROWTH = 24 * 2**20
"""Bytes that the allocator may keep in the end. The graphs alone of fourteen versions are 150 MB, the weights of
each are 60 MB."""

_OUR_LOADER = """
import json, sys
import numpy as np
from serving.server.models.servable import Servable
from trainer.base.garbage import collect_less
from trainer.base.memory import keep_freed_memory
from tests.serving.c_api import resident_bytes
collect_less(); keep_freed_memory()  # as yt8m serve does
model, rows, resident = sys.argv[1], [bytes.fromhex(row) for row in json.load(sys.stdin)], []
for _ in range(int(sys.argv[2])):
    servable = Servable(model, "m", 1)
    signature = servable.signatures["predictions"]
    feeds = {signature.inputs["examples"].name: np.array(rows, object)}
    servable.run(feeds, [signature.outputs["predictions"].name])
    servable.close()
    resident.append(resident_bytes())
json.dump(resident, sys.stdout)
"""


@pytest.mark.slow
def test_loads_and_unloads_leave_no_memory_behind(examples, tmp_path):
    spec, directory = ModelSpec.parse("K4-H700", CLASSES), str(tmp_path / "m")
    weights = compress(spec, initial_weights(spec, 0), FLOAT16)
    write_saved_model(directory, [Member(spec=spec, weights=weights)])
    # The first two fill caches and the allocator's pools.
    native = run_c_api(directory, "predictions", examples, "predictions", MEMORY_LOADS + 2)["resident"]
    done = subprocess.run(
        [sys.executable, "-c", _OUR_LOADER, directory, str(MEMORY_LOADS + 2)],
        input=json.dumps([row.hex() for row in examples]),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    ours = json.loads(done.stdout)
    for resident in (native, ours):
        assert len(resident) == MEMORY_LOADS + 2
        assert resident[-1] - resident[1] < MEMORY_GROWTH, resident
