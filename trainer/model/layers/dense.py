"""Dense layers: with biases, and with batch normalisation, ReLU and dropout.

Legend: P width of the input, Q width of the output.
"""

import tensorflow as tf

from trainer.model.layers import Weights, matmul
from trainer.model.layers.batch_norm import batch_norm
from trainer.model.training_pass import TrainingPass


def dense(x: tf.Tensor, weights: Weights, scope: str, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Returns x @ W + b.

    Args:
        x: float32 [..., P].
        weights: Holds `<scope>/weights` [P, Q] and `<scope>/biases` [Q].
        scope: Name prefix of both.
        dtype: Type in which the matrix product is computed.

    Returns:
        float32 [..., Q].
    """
    return matmul(x, weights[f"{scope}/weights"], dtype) + weights[f"{scope}/biases"]


def hidden_layer(
    x: tf.Tensor,
    weights: Weights,
    scope: str,
    training: TrainingPass | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Returns dropout(relu(batch_norm(x @ W))).

    Args:
        x: float32 [B, P], a row a video.
        weights: Holds `<scope>/weights` [P, Q] and `<scope>/bn/*` [Q].
        scope: Name prefix of the five tensors.
        training: In training, takes the statistics of batch normalisation and drops hidden units.
        dtype: Type in which the matrix product is computed.

    Returns:
        float32 [B, Q].
    """
    hidden = tf.nn.relu(
        batch_norm(matmul(x, weights[f"{scope}/weights"], dtype), weights, f"{scope}/bn", training)
    )
    return hidden if training is None else training.dropout(hidden)
