"""Layers as pure functions of their weights.

A layer takes the weights of a model (a mapping from the names of its `TensorSpec`s to tensors) and the
scope of its own ones, so the same code trains on variables, evaluates snapshots, and serves float16 weights that
were decoded at load. In training, batch normalisation leaves the statistics of the batch in the `TrainingPass`; where
that is None a layer is in inference and uses the moving ones.
"""

from collections.abc import Mapping

import tensorflow as tf

from trainer.model.kernel_blocks import KernelBlocks
from trainer.model.kernel_inputs import KernelInputs
from trainer.model.product import Product, matrix_product

__all__ = ["Weights", "matmul"]

Weights = Mapping[str, tf.Tensor | Product | KernelInputs | KernelBlocks]
"""Tensor (or variable) of each name. In training matrices are products, and where a compressor looks at what goes into
them they are kernel inputs; kernels of devices may be blocks. TensorFlow takes all of them as tensors, too."""


def matmul(
    x: tf.Tensor, y: tf.Tensor | Product | KernelInputs | KernelBlocks, dtype: tf.DType = tf.float32
) -> tf.Tensor:
    """Returns float32 x @ y [..., Q] of x [..., P] and y [P, Q], the product itself in `dtype`.

    Mixed precision keeps all else in float32.

    Give rows that are not one a video as they are ([B, T, P]), not laid one under the other: the gradient of y is
    then the matrix that it is, and not the factors that are small for one row a video.
    """
    if isinstance(y, Product | KernelInputs | KernelBlocks):
        return y.product(x, dtype)
    return matrix_product(x, y, dtype)
