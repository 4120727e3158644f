"""Mixture of experts: V probabilities, each a gated mean of M logistic regressions.

Legend: B videos, P width of the input, V classes, M mixtures.
"""

import tensorflow as tf

from trainer.model.layers import Weights, matmul


def mixture_of_experts(x: tf.Tensor, weights: Weights, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Returns sum_m gate[v, m] * sigmoid(expert[v, m]); gates also weigh a last, dummy expert that always says no.

    Args:
        x: float32 [B, P].
        weights: Holds `gates/weights` [P, V * (M + 1)], `experts/weights` [P, V * M], `experts/biases` [V * M];
            columns are grouped by class.
        dtype: Type in which the matrix products are computed.

    Returns:
        float32 [B, V] in [0, 1].

    Reference: Jordan & Jacobs 1994; the paper, section 2.1.
    """
    gate_columns = weights["gates/weights"].shape[-1]
    expert_columns = weights["experts/weights"].shape[-1]
    num_classes = gate_columns - expert_columns
    mixtures = expert_columns // num_classes
    gates = matmul(x, weights["gates/weights"], dtype)
    experts = tf.sigmoid(matmul(x, weights["experts/weights"], dtype) + weights["experts/biases"])
    # Mixtures first: sums, and their gradients, over a last dimension of 6 take twice as long on CPUs, transposing
    # included. So the softmax is written out; its division comes last, on one value a class.
    gates = tf.transpose(tf.reshape(gates, [-1, num_classes, mixtures + 1]), [2, 0, 1])
    experts = tf.transpose(tf.reshape(experts, [-1, num_classes, mixtures]), [2, 0, 1])
    shares = tf.exp(gates - tf.stop_gradient(tf.reduce_max(gates, axis=0)))  # [M + 1, B, V]
    said_yes = tf.reduce_sum(tf.split(shares, [mixtures, 1])[0] * experts, axis=0)
    return said_yes / tf.reduce_sum(shares, axis=0)
