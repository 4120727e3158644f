"""One step of training, written down from the paper without any thought of speed: what the fast one is held against.

Legend: B videos, T frames, D features of a frame, K clusters, V classes, M mixtures.
"""

import numpy as np
import tensorflow as tf

from trainer.data.input_pipeline import Batch
from trainer.model.weights import Arrays
from trainer.training.config import TrainingConfig


def _batch_norm(x, weights, scope):
    mean, variance = tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))
    normal = (x - mean) / tf.sqrt(variance + 1e-3)
    return weights[f"{scope}/gamma"] * normal + weights[f"{scope}/beta"]


def _net_vlad(frames, weights, scope):
    batch, length, size = frames.shape
    centers = weights[f"{scope}/cluster_centers"]  # [1, D, K]
    activation = tf.reshape(frames, [-1, size]) @ weights[f"{scope}/cluster_weights"]
    assignment = tf.nn.softmax(_batch_norm(activation, weights, f"{scope}/bn"))
    assignment = tf.reshape(assignment, [batch, length, 1, -1])
    residuals = frames[:, :, :, tf.newaxis] - centers[tf.newaxis]  # [B, T, D, K]
    vlad = tf.reduce_sum(assignment * residuals, axis=1)
    vlad = tf.math.l2_normalize(vlad, axis=1)
    return tf.math.l2_normalize(tf.reshape(vlad, [batch, -1]), axis=1)


def _context_gating(x, weights, scope):
    return x * tf.sigmoid(_batch_norm(x @ weights[f"{scope}/weights"], weights, f"{scope}/bn"))


def _probabilities(frames, weights):
    values = tf.cast(frames, tf.float32) * 4.0 / 255.0 + 4.0 / 512.0 - 2.0
    values = tf.math.l2_normalize(values, axis=-1)
    video = _net_vlad(values[:, :, :1024], weights, "video_vlad")
    audio = _net_vlad(values[:, :, 1024:], weights, "audio_vlad")
    hidden = tf.concat([video, audio], axis=1) @ weights["hidden1/weights"]
    hidden = tf.nn.relu6(_batch_norm(hidden, weights, "hidden1/bn"))
    hidden = hidden @ weights["hidden2/weights"] + weights["hidden2/biases"]
    hidden = _context_gating(hidden, weights, "gating")
    batch, classes = hidden.shape[0], weights["gating_prob/weights"].shape[0]
    gates = tf.nn.softmax(tf.reshape(hidden @ weights["gates/weights"], [batch, classes, -1]))
    experts = hidden @ weights["experts/weights"] + weights["experts/biases"]
    experts = tf.sigmoid(tf.reshape(experts, [batch, classes, -1]))
    mixed = tf.reduce_sum(gates[:, :, :-1] * experts, axis=2)
    return _context_gating(mixed, weights, "gating_prob")


class ReferenceStep:
    """Weights and Adam's moments as arrays, moved by one batch at a time.

    Args:
        weights: Initial ones.
        config: No mixup, no dropout, one learning rate.
    """

    def __init__(self, weights: Arrays, config: TrainingConfig) -> None:
        self.weights = dict(weights)
        self._config = config
        trained = [name for name in weights if not name.endswith(("moving_mean", "moving_variance"))]
        self._moments = {
            name: (np.zeros_like(weights[name]), np.zeros_like(weights[name])) for name in trained
        }

    def run(self, batch: Batch, step: int) -> float:
        """The loss before the update; `step` counts from 0."""
        config = self._config
        weights = {name: tf.constant(value) for name, value in self.weights.items()}
        labels = tf.cast(batch["labels"], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch([weights[name] for name in self._moments])
            # A frame that was drawn several times is there several times.
            drawn = [
                np.repeat(frames, counts.astype(int), axis=0)
                for frames, counts in zip(batch["frames"], batch["counts"], strict=True)
            ]
            p = _probabilities(np.stack(drawn), weights)
            terms = labels * tf.math.log(p + 1e-5) + (1.0 - labels) * tf.math.log(1.0 - p + 1e-5)
            loss = -tf.reduce_mean(tf.reduce_sum(terms, axis=1))
        gradients = tape.gradient(loss, {name: weights[name] for name in self._moments})
        for name, gradient in gradients.items():
            g = gradient.numpy()
            if name in ("gates/weights", "experts/weights"):
                g = g + np.float32(config.l2_penalty) * self.weights[name]
            norm = np.sqrt(np.sum(np.square(g, dtype=np.float64)))
            if norm > config.gradient_clip_norm:
                g = g * np.float32(config.gradient_clip_norm / norm)
            m, v = self._moments[name]
            m = np.float32(0.9) * m + np.float32(0.1) * g
            v = np.float32(0.999) * v + np.float32(0.001) * g * g
            self._moments[name] = m, v
            rate = config.learning_rate * np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
            self.weights[name] = self.weights[name] - np.float32(rate) * m / (np.sqrt(v) + np.float32(1e-8))
        return float(loss)
