"""Checkpoints of the authors' code: names, scopes, slots, and what is wrong with them."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.base.errors import UserError
from trainer.checkpoints.tf1_checkpoint import TF1_NAMES, read_tf1_checkpoint
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

CLASSES = 11
SPEC = ModelSpec.parse("K8-H6", CLASSES)

# The names in the authors' checkpoints, written out: not derived from the code under test. Their code
# (boliu61/youtube-8m, class NetVLAD) leaves the scope conv2 before it normalises.
THEIRS = """
tower/video_VLAD/conv2/cluster_weights tower/video_VLAD/cluster_bn/beta tower/video_VLAD/cluster_bn/gamma
tower/video_VLAD/cluster_bn/moving_mean tower/video_VLAD/cluster_bn/moving_variance
tower/video_VLAD/cluster_weights2/cluster_weights2
tower/audio_VLAD/conv2/cluster_weights tower/audio_VLAD/cluster_bn/beta tower/audio_VLAD/cluster_bn/gamma
tower/audio_VLAD/cluster_bn/moving_mean tower/audio_VLAD/cluster_bn/moving_variance
tower/audio_VLAD/cluster_weights2/cluster_weights2
tower/hidden1_weights/hidden1_weights tower/hidden1_bn/beta tower/hidden1_bn/gamma tower/hidden1_bn/moving_mean
tower/hidden1_bn/moving_variance tower/hidden2_weights/hidden2_weights tower/hidden2_biases
tower/gating_weights/gating_weights tower/gating_bn/beta tower/gating_bn/gamma tower/gating_bn/moving_mean
tower/gating_bn/moving_variance tower/gates/weights tower/experts/weights tower/experts/biases
tower/gating_prob_weights tower/gating_prob_bn/beta tower/gating_prob_bn/gamma tower/gating_prob_bn/moving_mean
tower/gating_prob_bn/moving_variance
"""


def save(prefix, tensors, **options):
    """Writes a checkpoint with TensorFlow 1's own Saver."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = {
            name: tf.compat.v1.get_variable(name, initializer=np.asarray(value), use_resource=False)
            for name, value in tensors.items()
        }
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(variables, **options).save(session, prefix)
    return prefix


def theirs(weights, scope="tower/"):
    return {scope + TF1_NAMES[name]: value for name, value in weights.items()}


@pytest.fixture
def weights():
    return initial_weights(SPEC, 3)


def read(prefix, member=None):
    return read_tf1_checkpoint(prefix, SPEC, member)


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])


def test_names():
    assert sorted(f"tower/{name}" for name in TF1_NAMES.values()) == sorted(THEIRS.split())
    assert TF1_NAMES.keys() == {tensor.name for tensor in SPEC.tensors}


def test_reads_a_training_checkpoint(tmp_path, weights):
    tensors = theirs(weights)
    slots = {
        f"{name}/{slot}": np.full_like(value, 7)
        for name, value in tensors.items()
        for slot in ("Adam", "Adam_1")
    }
    extras = {"global_step": np.int64(5), "beta1_power": np.float32(0.9)}
    assert_equal(read(save(str(tmp_path / "model.ckpt-5"), tensors | slots | extras)), weights)


def test_reads_a_member_of_an_ensemble(tmp_path, weights):
    other = ModelSpec.parse("K4-H3", CLASSES)
    others = initial_weights(other, 4)
    half = weights | {"gates/weights": weights["gates/weights"].astype(np.float16)}
    prefix = save(str(tmp_path / "ensemble"), theirs(others, "tower/") | theirs(half, "tower/model1/"))
    found = read(prefix, member=1)
    assert_equal(found, half)
    assert found["gates/weights"].dtype == np.float16
    assert_equal(read_tf1_checkpoint(prefix, other, 0), others)
    with pytest.raises(UserError, match=r"choose one by --member. It holds the members 0, 1"):
        read(prefix)
    with pytest.raises(UserError, match=r"no member 2"):
        read(prefix, member=2)


@pytest.mark.parametrize("name", sorted(TF1_NAMES))
def test_names_the_missing_tensor(tmp_path, weights, name):
    tensors = theirs(weights)
    del tensors[f"tower/{TF1_NAMES[name]}"]
    with pytest.raises(UserError, match=f"tensor tower/{TF1_NAMES[name]} is missing"):
        read(save(str(tmp_path / "model"), tensors))


def test_names_the_tensor_of_a_wrong_shape(tmp_path, weights):
    prefix = save(str(tmp_path / "model"), theirs(weights))
    message = r"hidden1_weights/hidden1_weights must have shape \(8704, 7\) for K8-H7. Received: \(8704, 6\)"
    with pytest.raises(UserError, match=message) as caught:
        read_tf1_checkpoint(prefix, ModelSpec.parse("K8-H7", CLASSES))
    assert "\n" not in str(caught.value)


def test_names_the_tensor_of_a_wrong_type(tmp_path, weights):
    weights["hidden2/biases"] = np.zeros(12, np.int32)
    with pytest.raises(UserError, match=r"hidden2_biases must hold floats. Received: int32"):
        read(save(str(tmp_path / "model"), theirs(weights)))


@pytest.mark.parametrize("ending", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_any_file_of_a_checkpoint_means_the_checkpoint(tmp_path, weights, ending):
    prefix = save(str(tmp_path / "model.ckpt-5"), theirs(weights))
    assert_equal(read(prefix + ending), weights)


def test_a_directory_means_its_newest_checkpoint(tmp_path, weights):
    with pytest.raises(UserError, match="has no file `checkpoint`"):
        read(str(tmp_path))
    save(str(tmp_path / "model.ckpt-5"), theirs(weights))
    assert_equal(read(str(tmp_path)), weights)
    (tmp_path / "checkpoint").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="has no file `checkpoint`"):
        read(str(tmp_path))


def test_reads_the_old_format_of_one_file(tmp_path, weights):
    prefix = str(tmp_path / "model.ckpt-5")
    save(prefix, theirs(weights), write_version=1)
    assert_equal(read(prefix), weights)
    with open(prefix, "r+b") as file:
        file.truncate(1000)
    with pytest.raises(UserError, match="not a TensorFlow checkpoint"):
        read(prefix)


def test_refuses_what_is_no_checkpoint_or_another_model(tmp_path):
    with pytest.raises(UserError, match="not a TensorFlow checkpoint") as caught:
        read(str(tmp_path / "nothing"))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="none of the tensors of a Gated NetVLAD"):
        read(save(str(tmp_path / "other"), {"dense/kernel": np.zeros(3, np.float32)}))
