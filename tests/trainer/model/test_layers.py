"""Layers against hand-computed numbers."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.model.features import DecodedFeature
from trainer.model.layers import matmul
from trainer.model.layers.batch_norm import batch_norm
from trainer.model.layers.context_gating import context_gating
from trainer.model.layers.mixture_of_experts import mixture_of_experts
from trainer.model.layers.net_vlad import net_vlad
from trainer.model.training_pass import TrainingPass


def _norm(scope, width, **values):
    defaults = {"beta": 0.0, "gamma": 1.0, "moving_mean": 0.0, "moving_variance": 1.0 - 1e-3}
    return {
        f"{scope}/{name}": np.full(width, values.get(name, default), np.float32)
        for name, default in defaults.items()
    }


def test_batch_norm_in_inference_uses_the_moving_statistics():
    weights = _norm("bn", 1, beta=1.0, gamma=2.0, moving_mean=3.0, moving_variance=4.0 - 1e-3)
    # 2 * (7 - 3) / sqrt(4) + 1
    assert batch_norm(tf.constant([[7.0]]), weights, "bn").numpy().item() == pytest.approx(5.0)


def test_batch_norm_in_training_uses_the_batch_and_reports_it():
    training = TrainingPass()
    x = tf.constant([[1.0], [3.0]])
    result = batch_norm(x, _norm("bn", 1, moving_mean=50.0), "bn", training)
    # mean 2, variance 1
    assert result.numpy() == pytest.approx(np.array([[-1.0], [1.0]]) / np.sqrt(1.001))
    assert training.moments["bn/moving_mean"].numpy() == pytest.approx([2.0])
    assert training.moments["bn/moving_variance"].numpy() == pytest.approx([1.0])


def test_what_counts_twice_is_there_twice_for_batch_norm():
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    counts = np.array([[2], [0], [1], [3]], np.float32)
    once, often = TrainingPass(), TrainingPass()
    weights = _norm("bn", 3)
    result = batch_norm(tf.constant(x), weights, "bn", once, tf.constant(counts))
    expected = batch_norm(tf.constant(np.repeat(x, [2, 0, 1, 3], axis=0)), weights, "bn", often)
    np.testing.assert_allclose(np.repeat(result, [2, 0, 1, 3], axis=0), expected, atol=1e-6)
    for name, value in often.moments.items():
        np.testing.assert_allclose(once.moments[name], value, atol=1e-6)


def test_net_vlad_of_two_frames_and_two_clusters():
    # Assignment by x @ W = [[ln 3, 0], [0, 0]]: softmax [3/4, 1/4] and [1/2, 1/2].
    frames = tf.constant([[[2 * np.log(3.0), 0.0], [0.0, 4.0]]], tf.float32)
    scale = tf.constant([[0.5, 0.25]])
    weights = {
        "v/cluster_weights": tf.constant([[1.0, 0.0], [0.0, 0.0]]),
        "v/cluster_centers": tf.constant([[[0.0, 1.0], [0.0, 0.0]]]),
        **_norm("v/bn", 2),
    }
    # V[d, k] = sum_t a[t, k] * (x[t, d] - c[d, k])
    ln3 = np.log(3.0)
    first = np.array([0.75 * ln3, 0.5])
    second = np.array([0.25 * (ln3 - 1) + 0.5 * (0 - 1), 0.5])
    first, second = first / np.linalg.norm(first), second / np.linalg.norm(second)
    expected = np.stack([first, second], axis=1).ravel() / np.sqrt(2)  # K fastest
    assert net_vlad(DecodedFeature(frames), scale, None, weights, "v").numpy()[0] == pytest.approx(
        expected, abs=1e-6
    )


def test_context_gating_scales_each_value_by_its_gate():
    weights = {"g/weights": tf.constant([[0.0, 1.0], [0.0, 0.0]]), **_norm("g/bn", 2)}
    # x @ G = [0, 2]
    expected = [2 * 0.5, 4 / (1 + np.exp(-2.0))]
    assert context_gating(tf.constant([[2.0, 4.0]]), weights, "g").numpy()[0] == pytest.approx(expected)


def test_mixture_of_experts_with_one_class_and_two_mixtures():
    weights = {
        # Gates ln 1, ln 2 and the dummy ln 1: shares 1/4, 1/2, 1/4.
        "gates/weights": tf.constant([[0.0, np.log(2.0), 0.0]], tf.float32),
        "experts/weights": tf.constant([[0.0, 0.0]]),
        "experts/biases": tf.constant([0.0, np.log(3.0)], tf.float32),
    }
    # 1/4 * sigmoid(0) + 1/2 * sigmoid(ln 3) = 1/8 + 3/8
    assert mixture_of_experts(tf.constant([[1.0]]), weights).numpy().item() == pytest.approx(0.5)


def test_mixture_of_experts_groups_columns_by_class():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(3, 4)).astype(np.float32)
    classes, mixtures = 5, 2
    gates = generator.normal(size=(4, classes * (mixtures + 1))).astype(np.float32)
    experts = generator.normal(size=(4, classes * mixtures)).astype(np.float32)
    biases = generator.normal(size=classes * mixtures).astype(np.float32)
    expected = np.zeros((3, classes))
    for video in range(3):
        for label in range(classes):
            logits = x[video] @ gates[:, label * (mixtures + 1) : (label + 1) * (mixtures + 1)]
            share = np.exp(logits) / np.exp(logits).sum()
            for m in range(mixtures):
                column = label * mixtures + m
                expected[video, label] += share[m] / (
                    1 + np.exp(-(x[video] @ experts[:, column] + biases[column]))
                )
    weights = {"gates/weights": gates, "experts/weights": experts, "experts/biases": biases}
    weights = {name: tf.constant(value) for name, value in weights.items()}
    assert mixture_of_experts(tf.constant(x), weights).numpy() == pytest.approx(expected, abs=1e-6)


def test_mixed_precision_products_come_back_as_float32():
    generator = np.random.default_rng(0)
    a, b = (tf.constant(generator.normal(size=(8, 8)), tf.float32) for _ in range(2))
    product = matmul(a, b, tf.bfloat16)
    assert product.dtype == tf.float32
    np.testing.assert_allclose(product, matmul(a, b), atol=0.1)
    assert not np.array_equal(product, matmul(a, b))
