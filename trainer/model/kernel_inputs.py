"""What goes into a kernel: the second moments of its inputs over many videos.

Legend: B videos, T frames, N rows of inputs, P rows of a kernel, Q its columns, G groups of rows, R rows of a group.
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
        total: Variable float32 [G, R, R] that the second moments of each group of rows are added to (see
            `trainer.model.moment_groups.moments_shape`).

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
        self._total.assign_add(tf.matmul(self._grouped(weighted), self._grouped(x), transpose_a=True))
        return matrix_product(x, self._kernel, dtype)

    def _grouped(self, x: tf.Tensor) -> tf.Tensor:
        """float32 [G, N, R] of x [..., P], with zeros in place of the rows that the last group lacks."""
        rows, (groups, size, _) = self._kernel.shape[0], self._total.shape
        padded = tf.pad(tf.reshape(x, [-1, rows]), [[0, 0], [0, groups * size - rows]])
        return tf.transpose(tf.reshape(padded, [-1, groups, size]), [1, 0, 2])

    def _as_tensor(self) -> tf.Tensor:
        return tf.convert_to_tensor(self._kernel)

    def __getitem__(self, places: Any) -> tf.Tensor:
        return self._as_tensor()[places]
