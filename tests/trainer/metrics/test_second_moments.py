"""Second moments of kernels' inputs: those of the very rows that are multiplied, and nothing of padding."""

import numpy as np
import pytest
import tensorflow as tf

from tests import tiny_family  # noqa: F401 - makes Stages known
from trainer.metrics.second_moments import second_moments
from trainer.model import moment_groups
from trainer.model.frames import dequantize
from trainer.model.kernel_inputs import KernelInputs
from trainer.model.model_spec import ModelSpec
from trainer.model.weights import initial_weights

CLASSES = 10


def batches(seed=0, videos=(3, 4)):
    generator = np.random.default_rng(seed)
    for count in videos:
        yield {
            "frames": generator.integers(0, 256, (count, 5, 1152), np.uint8),
            "num_frames": generator.integers(1, 6, count).astype(np.int32),
        }


def test_moments_of_gated_net_vlad():
    spec = ModelSpec.parse("K2-H6", CLASSES)
    weights = initial_weights(spec, 0)
    found, videos = second_moments(spec, weights, batches())
    assert {name: value.shape for name, value in found.items()} == {
        "hidden1/weights": (1, 2176, 2176),
        "gates/weights": (1, 12, 12),
        "experts/weights": (1, 12, 12),
        "gating_prob/weights": (1, CLASSES, CLASSES),
    }
    np.testing.assert_array_equal(found["gates/weights"], found["experts/weights"])
    # NetVLAD's two descriptors have norm 1 each, for every video.
    assert np.trace(found["hidden1/weights"][0]) == pytest.approx(2 * 7, rel=1e-4)
    assert videos == 7
    for (moments,) in found.values():
        np.testing.assert_allclose(moments, moments.T, atol=1e-5)
        assert np.linalg.eigvalsh(moments).min() > -1e-3


def test_frames_are_counted_without_padding():
    spec = ModelSpec.parse("Stages-W4", CLASSES)
    (batch,) = batches(1, (6,))
    found, videos = second_moments(spec, initial_weights(spec, 0), [batch])
    values = dequantize(tf.constant(batch["frames"])).values().numpy()
    rows = np.concatenate([values[row, :count] for row, count in enumerate(batch["num_frames"])])
    np.testing.assert_allclose(found["frame/weights"], (rows.T @ rows)[np.newaxis], rtol=1e-3, atol=1e-4)
    assert videos == 6
    # One kernel is used twice by matmul and once transposed, which is not seen.
    assert found["stage/weights"].shape == (1, 4, 4)


@pytest.mark.parametrize(("name", "kernel"), [("K2-H6", "hidden1/weights"), ("Stages-W4", "frame/weights")])
def test_of_tall_kernels_the_moments_are_the_blocks_along_the_diagonal(monkeypatch, name, kernel):
    spec = ModelSpec.parse(name, CLASSES)
    weights = initial_weights(spec, 0)
    whole, _ = second_moments(spec, weights, batches())
    monkeypatch.setattr(moment_groups, "_MOST_WHOLE", 20)
    monkeypatch.setattr(moment_groups, "_ROWS", 500)
    found, videos = second_moments(spec, weights, batches())
    assert videos == 7
    assert found.keys() == whole.keys()
    rows, (groups, size, _) = whole[kernel].shape[1], found[kernel].shape
    assert (groups, size) == (-(-rows // 500), 500)
    for group, moments in enumerate(found[kernel]):
        own = slice(500 * group, min(500 * (group + 1), rows))
        count = own.stop - own.start
        np.testing.assert_allclose(moments[:count, :count], whole[kernel][0, own, own], rtol=1e-4, atol=1e-5)
        assert not moments[count:].any()
        assert not moments[:, count:].any()
    for other in whole.keys() - {kernel}:
        assert found[other].shape[0] == 1


def test_a_stand_in_is_the_tensor_that_it_stands_for():
    kernel, total = tf.Variable([[1.0, 2.0], [3.0, 4.0]]), tf.Variable(tf.zeros([1, 2, 2]))
    inputs = KernelInputs(kernel, tf.ones([1, 1]), total)
    np.testing.assert_array_equal(tf.transpose(inputs), kernel.numpy().T)
    np.testing.assert_array_equal(inputs[0], [1, 2])
    np.testing.assert_array_equal(2.0 * inputs, 2 * kernel.numpy())
    assert not total.numpy().any()
    np.testing.assert_array_equal(inputs.product(tf.constant([[1.0, 1.0]])), [[4, 6]])
    np.testing.assert_array_equal(total, np.ones((1, 2, 2)))
