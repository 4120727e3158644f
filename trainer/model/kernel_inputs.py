"""What goes into a kernel: the second moments of its inputs over many videos.

Legend: B videos, T frames, P rows of a kernel, Q its columns.
"""

from typing import Any

import tensorflow as tf

from trainer.model.product import matrix_product, stand_in


@stand_in
class KernelInputs:
    """A stand-in for a kernel in a forward pass, which adds up X^T X over the rows X that it is multiplied with.

    Layers multiply with it by `trainer.model.layers.matmul`. TensorFlow's functions take it as the tensor that it
    stands for; what is multiplied in that way is not seen.

    Args:
        kernel: float32 [P, Q].
        counts: float32 [B, T], how often a frame counts. Inputs [B, T, P] are weighted by it, so padding is left out.
        total: Variable float32 [P, P] that the second moments are added to.

    Attributes:
        shape: [P, Q].
    """

    def __init__(self, kernel: tf.Variable, counts: tf.Tensor, total: tf.Variable) -> None:
        self.shape = kernel.shape
        self._kernel = kernel
        self._counts = counts
        self._total = total

    def product(self, x: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
        """Returns float32 x @ kernel [..., Q] of x float32 [..., P], the product itself in `dtype`."""
        weighted = x
        if x.shape.rank == 3:
            # Rows of a model's own making, such as clusters, have no counts.
            weighted = tf.cond(
                tf.reduce_all(tf.equal(tf.shape(x)[:2], tf.shape(self._counts))),
                lambda: x * self._counts[:, :, tf.newaxis],
                lambda: x,
            )
        rows = [-1, self._kernel.shape[0]]
        self._total.assign_add(tf.matmul(tf.reshape(weighted, rows), tf.reshape(x, rows), transpose_a=True))
        return matrix_product(x, self._kernel, dtype)

    def _as_tensor(self) -> tf.Tensor:
        return tf.convert_to_tensor(self._kernel)

    def __getitem__(self, places: Any) -> tf.Tensor:
        return self._as_tensor()[places]
