"""What stands at the end of most families: a gated hidden layer, a mixture of experts, and gated probabilities.

Legend: B videos, P width of the input, V classes, M mixtures.
"""

import tensorflow as tf

from trainer.model.layers import Weights
from trainer.model.layers.context_gating import context_gating
from trainer.model.layers.mixture_of_experts import mixture_of_experts
from trainer.model.training_pass import TrainingPass


def gated_experts(
    x: tf.Tensor, weights: Weights, training: TrainingPass | None = None, dtype: tf.DType = tf.float32
) -> tf.Tensor:
    """Returns gating_prob(experts(dropout(gating(x)))), the paper's section 2.1 from the hidden layer on.

    Args:
        x: float32 [B, P].
        weights: Holds the tensors of `trainer.model.tensor_spec.gated_experts_specs`.
        training: In training, takes the statistics of batch normalisation and drops hidden units.
        dtype: Type in which the matrix products are computed.

    Returns:
        float32 [B, V] in [0, 1].
    """
    hidden = context_gating(x, weights, "gating", training, dtype)
    if training is not None:
        hidden = training.dropout(hidden)
    probabilities = mixture_of_experts(hidden, weights, dtype)  # [B, V]
    return context_gating(probabilities, weights, "gating_prob", training, dtype)
