"""Context gating: every value scaled by a gate that sees all of them.

Legend: B videos, P width.
"""

import tensorflow as tf

from trainer.model.layers import Weights, matmul
from trainer.model.layers.batch_norm import batch_norm
from trainer.model.training_pass import TrainingPass


def context_gating(
    x: tf.Tensor,
    weights: Weights,
    scope: str,
    training: TrainingPass | None = None,
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Returns x * sigmoid(batch_norm(x @ G)), the paper's equation 3 with the bias folded into the normalisation.

    Args:
        x: float32 [B, P].
        weights: Holds `<scope>/weights` [P, P] and `<scope>/bn/*` [P].
        scope: `gating` (the hidden layer's) or `gating_prob` (the probabilities').
        training: In training, takes the statistics of batch normalisation.
        dtype: Type in which the matrix product is computed.

    Returns:
        float32 [B, P].

    Reference: Miech, Laptev & Sivic 2017, https://arxiv.org/abs/1706.06905, section 3.3.
    """
    gates = batch_norm(matmul(x, weights[f"{scope}/weights"], dtype), weights, f"{scope}/bn", training)
    return x * tf.sigmoid(gates)
