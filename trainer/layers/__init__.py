"""The layers of Gated NetVLAD as pure functions of their weights.

A layer takes the weights of a model (a mapping from the names of `trainer.variant.TensorSpec` to tensors) and the
scope of its own ones, so the same code trains on variables, evaluates snapshots, and serves float16 weights that
were decoded at load. In training, batch normalisation leaves the statistics of the batch in `moments`; where
`moments` is None a layer is in inference and uses the moving ones.
"""

from collections.abc import Mapping

import tensorflow as tf

from trainer.product import Product

Weights = Mapping[str, tf.Tensor | Product]
"""Tensor (or variable) of each of the 32 names; those of dense layers may be products in training."""

Moments = dict[str, tf.Tensor]
"""Batch mean and variance by the name of the moving statistic that they update."""


def matmul(x: tf.Tensor, y: tf.Tensor | Product, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """float32 x @ y, with the product itself in `dtype` (mixed precision keeps all else in float32)."""
    if isinstance(y, Product):
        return y.product(x, dtype)
    return tf.cast(tf.cast(x, dtype) @ tf.cast(y, dtype), tf.float32)
