"""Products with the kernels of dense layers, and the kernels' gradients as two factors.

Nearly all weights are kernels that one row a video is multiplied with. The gradient of such a kernel [P, Q] is the
product of [P, B] and [B, Q], with far fewer numbers: for a batch of 80 the factors of K16-H512 take 23 MB, the
gradients 278 MB. So gradients stay factors: their norms come from these, and the optimizer multiplies what it needs.

Legend: B videos, P rows of a kernel, Q its columns.
"""

from typing import NamedTuple

import tensorflow as tf


class Product:
    """The product with a kernel in one step of training: a stand-in for the kernel that keeps what went through.

    Args:
        kernel: float32 [P, Q].

    Attributes:
        shape: Of the kernel.
        left: What was multiplied, [B, P].
        output: The product, [B, Q], whose gradient is the other factor of the kernel's.
    """

    def __init__(self, kernel: tf.Variable) -> None:
        self.shape = kernel.shape
        self.left: tf.Tensor | None = None
        self.output: tf.Tensor | None = None
        self._kernel = kernel

    def product(self, x: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
        """float32 x @ kernel [B, Q] of x [B, P], the product itself in `dtype`; its gradient is that of x alone."""
        kernel = tf.cast(tf.convert_to_tensor(self._kernel), dtype)

        @tf.custom_gradient
        def multiply(x):
            # Backwards as (kernel @ upstream^T)^T: transposing the small factor and the small result, and not the
            # kernel within the product, takes two thirds of the time on CPUs with AVX-512.
            return tf.cast(tf.cast(x, dtype) @ kernel, tf.float32), lambda upstream: tf.transpose(
                tf.cast(kernel @ tf.cast(tf.transpose(upstream), dtype), tf.float32)
            )

        self.left, self.output = x, multiply(x)
        return self.output


class Factors(NamedTuple):
    """The gradient left^T @ right of a kernel."""

    left: tf.Tensor
    """float32 [B, P]."""
    right: tf.Tensor
    """float32 [B, Q]."""
    along: tf.Tensor
    """float32 []: sum over all elements of gradient * kernel."""

    @classmethod
    def of(cls, product: Product, right: tf.Tensor) -> "Factors":
        """Of a product whose output has the gradient `right`."""
        # <X^T dY, W> = <dY, X W>.
        return cls(product.left, right, _dot(product.output, right))

    def gathered(self, context: tf.distribute.ReplicaContext) -> "Factors":
        """Of the sum of all replicas' gradients: the videos of all of them, one replica's after the other's."""
        return Factors(
            context.all_gather(self.left, axis=0),
            context.all_gather(self.right, axis=0),
            context.all_reduce(tf.distribute.ReduceOp.SUM, self.along),
        )

    def square(self) -> tf.Tensor:
        """float32 []: squared norm of the gradient, from the B x B products of each factor's rows with each other.

        With X = A + 1 m and D = C + 1 n, m and n their mean rows, X^T D = A^T C + B m^T n, since the columns of A and C
        sum to zero. Without the mean rows: what all rows of X have in common is by far the most of them, and must not
        cancel in the sum where the rows of D sum to zero, as they do before a batch normalisation.
        """
        left, right = centered_gram(self.left), centered_gram(self.right)
        videos = tf.cast(tf.shape(self.left)[0], tf.float32)
        common = videos**2 * left.mean_square * right.mean_square
        between = 2.0 * videos * _dot(left.along, right.along)
        return tf.maximum(_dot(left.products, right.products) + between + common, 0.0)


class CenteredGram(NamedTuple):
    """Of a matrix X [B, P] = A + 1 m, m its mean row."""

    products: tf.Tensor
    """float32 [B, B]: A A^T."""
    along: tf.Tensor
    """float32 [B]: A m^T."""
    mean_square: tf.Tensor
    """float32 []: m m^T."""


def centered_gram(x: tf.Tensor) -> CenteredGram:
    """Of x, float32 [B, P]."""
    mean = tf.reduce_mean(x, axis=0, keepdims=True)  # [1, P]
    centered = x - mean
    along = tf.squeeze(tf.matmul(centered, mean, transpose_b=True), 1)
    return CenteredGram(tf.matmul(centered, centered, transpose_b=True), along, _dot(mean, mean))


def _dot(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Sum over x * y, without a tensor of the products.

    Of two rows: a product of a row and a column takes four to five times as long on CPUs.
    """
    return tf.reshape(tf.matmul(tf.reshape(x, [1, -1]), tf.reshape(y, [1, -1]), transpose_b=True), [])
