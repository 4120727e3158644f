"""A kernel in blocks of rows, which are multiplied one by one.

Legend: P rows of a kernel, Q its columns, b rows of a block.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from trainer.model.product import matrix_product, stand_in

SCOPE = "block_of_a_kernel"
"""Stands in the names of the products' operations, by which a converter's settings can tell them from others."""


@stand_in
class KernelBlocks(tf.Module):
    """A stand-in for a kernel in a forward pass: x @ kernel is the sum of the products with its blocks of rows.

    A runtime that stores a scale for each column of a matrix so gets one for each column of a block. Layers multiply
    with it by `trainer.model.layers.matmul`; TensorFlow's functions take it as the tensor that it stands for.

    Args:
        kernel: float32 [P, Q].
        rows: b; the last block may have fewer rows.

    Attributes:
        shape: [P, Q].
    """

    def __init__(self, kernel: np.ndarray, rows: int) -> None:
        super().__init__()
        self.shape = tf.TensorShape(kernel.shape)
        self._blocks = [
            tf.Variable(kernel[begin : begin + rows], trainable=False)
            for begin in range(0, len(kernel), rows)
        ]

    def product(self, x: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
        """Returns float32 x @ kernel [..., Q] of x float32 [..., P], the product itself in `dtype`."""
        parts = tf.split(x, [block.shape[0] for block in self._blocks], axis=-1)
        with tf.name_scope(SCOPE):
            products = [
                matrix_product(part, block, dtype) for part, block in zip(parts, self._blocks, strict=True)
            ]
        return tf.add_n(products)

    def _as_tensor(self) -> tf.Tensor:
        return tf.concat(self._blocks, axis=0)

    def __getitem__(self, places: Any) -> tf.Tensor:
        return self._as_tensor()[places]
