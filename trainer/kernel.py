"""Kernels of dense layers in blocks, and their gradients as the two factors that they are the product of.

Nearly all weights are kernels that one row a video is multiplied with. The gradient of such a kernel [P, Q] is the
product of [P, B] and [B, Q], with far fewer numbers: for a batch of 80 the factors of K16-H512 take 23 MB, the
gradients 278 MB. So gradients are never built whole. Their norms come from the factors; the product is made block by
block, each small enough to be still in the processor's cache when the optimizer reads it.

Legend: B videos, P rows of a kernel, Q its columns.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

_BLOCK_BYTES = 16 << 20
"""Half of the third-level cache of 32 MiB that this was measured on. 8, 12 and 24 MiB are as fast, within 2 %."""
_UNIT = 16
"""Blocks are odd multiples of so many rows or columns: whole cache lines. Lines of a matrix that lie a power of two
apart share few places in the cache: a product with 2,048 columns takes twice as long as one with 2,064."""


class Kernel:
    """A matrix [P, Q] held as several variables, cut along its longer side.

    Args:
        value: float32 [P, Q].
        block_bytes: Of a variable, about.

    Attributes:
        shape: (P, Q).
        axis: 0 where blocks are rows, 1 where they are columns.
        blocks: The variables.
    """

    def __init__(self, value: np.ndarray, block_bytes: int = _BLOCK_BYTES) -> None:
        self.shape: tuple[int, int] = value.shape
        self.axis = 0 if value.shape[0] > value.shape[1] else 1
        along = value.shape[self.axis]
        length = math.ceil(along / math.ceil(value.nbytes / block_bytes))
        length = (math.ceil(length / _UNIT) | 1) * _UNIT
        self._block_bytes = block_bytes
        self._cuts = list(range(length, along, length))
        self.blocks = [tf.Variable(block, trainable=False) for block in self._split(value)]

    def zeros(self) -> "Kernel":
        """A kernel of zeros in equal blocks."""
        return Kernel(np.zeros(self.shape, np.float32), self._block_bytes)

    def assign(self, value: np.ndarray) -> None:
        """Puts a value [P, Q] in place."""
        for block, part in zip(self.blocks, self._split(np.asarray(value)), strict=True):
            block.assign(part)

    def numpy(self) -> np.ndarray:
        """float32 [P, Q]."""
        return np.concatenate([block.numpy() for block in self.blocks], self.axis)

    def slices(self) -> list[tuple[str, tf.Variable]]:
        """The blocks, each with its place as `tf.raw_ops.SaveV2` writes it."""
        begin, result = 0, []
        for block in self.blocks:
            length = block.shape[self.axis]
            place = f"{begin},{length}:-" if self.axis == 0 else f"-:{begin},{length}"
            result.append((f"{self.shape[0]} {self.shape[1]} {place}", block))
            begin += length
        return result

    def __tf_tensor__(self, dtype: tf.DType | None = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(tf.concat(self.blocks, self.axis), dtype, name)

    def product(self, x: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
        """float32 x @ kernel [B, Q] of x [B, P], the product itself in `dtype`; its gradient is that of x alone."""
        blocks = [tf.cast(block, dtype) for block in self.blocks]
        multiply = tf.custom_gradient(
            lambda x: (self._forward(x, blocks), lambda upstream: self._backward(upstream, blocks))
        )
        return multiply(x)

    def _forward(self, x: tf.Tensor, blocks: Sequence[tf.Tensor]) -> tf.Tensor:
        x = tf.cast(x, blocks[0].dtype)
        if self.axis == 1:
            return tf.cast(tf.concat([x @ block for block in blocks], 1), tf.float32)
        parts = zip(self.split(x), blocks, strict=True)
        return tf.add_n([tf.cast(part @ block, tf.float32) for part, block in parts])

    def _backward(self, upstream: tf.Tensor, blocks: Sequence[tf.Tensor]) -> tf.Tensor:
        """float32 upstream @ kernel^T [B, P] of upstream [B, Q].

        As (kernel @ upstream^T)^T: transposing the small factor and the small result, and not the kernel within the
        product, takes two thirds of the time on CPUs with AVX-512.
        """
        columns = tf.cast(tf.transpose(upstream), blocks[0].dtype)  # [Q, B]
        lengths = [block.shape[1] for block in blocks]
        parts = tf.split(columns, lengths) if self.axis == 1 else len(blocks) * [columns]
        products = [tf.cast(block @ part, tf.float32) for block, part in zip(blocks, parts, strict=True)]
        return tf.transpose(tf.add_n(products) if self.axis == 1 else tf.concat(products, 0))

    def split(self, x: tf.Tensor) -> list[tf.Tensor]:
        """[B, P] or [B, Q], the kernel's longer side, cut as the kernel is."""
        return tf.split(x, [block.shape[self.axis] for block in self.blocks], axis=1)

    def _split(self, value: np.ndarray) -> list[np.ndarray]:
        return np.split(value, self._cuts, self.axis)


class Product:
    """The product with a kernel in one step of training: a stand-in for the kernel that keeps what went through.

    Attributes:
        shape: Of the kernel.
        left: What was multiplied, [B, P].
        output: The product, [B, Q], whose gradient is the other factor of the kernel's.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.shape = kernel.shape
        self.left: tf.Tensor | None = None
        self.output: tf.Tensor | None = None
        self._kernel = kernel

    def product(self, x: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
        """See `Kernel.product`."""
        self.left, self.output = x, self._kernel.product(x, dtype)
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
        """float32 []: squared norm of the gradient, from the B x B products of each factor with itself.

        ||X^T D||^2 = <X X^T, D D^T>. The mean row of X is taken out first: before a batch normalisation the rows of
        D sum to zero, so what all rows of X have in common, by far the most of it, must not cancel in the sum.
        """
        mean = tf.reduce_mean(self.left, axis=0, keepdims=True)  # [1, P]
        left, total = self.left - mean, tf.reduce_sum(self.right, axis=0, keepdims=True)  # [1, Q]
        apart = _dot(_gram(left), _gram(self.right))
        # X^T D = (X - 1 m)^T D + m^T (1^T D)
        between = _dot(
            tf.matmul(left, mean, transpose_b=True), tf.matmul(self.right, total, transpose_b=True)
        )
        common = _dot(mean, mean) * _dot(total, total)
        return tf.maximum(apart + 2.0 * between + common, 0.0)

    def blocks(self, kernel: Kernel, scale: tf.Tensor, dtype: tf.DType) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """The factors, in `dtype`, of each block of `scale` times the gradient."""
        if kernel.axis == 0:
            right = tf.cast(scale * self.right, dtype)
            return [(part, right) for part in kernel.split(tf.cast(self.left, dtype))]
        left = tf.cast(scale * self.left, dtype)
        return [(left, part) for part in kernel.split(tf.cast(self.right, dtype))]


def _gram(x: tf.Tensor) -> tf.Tensor:
    """x @ x^T [B, B] of x [B, P].

    Transposed beforehand: with AVX-512 80 rows of 18,432 take 1.1 in place of 2.2 ms. Through a third dimension, or
    TensorFlow's optimizer makes one product that transposes of both operations.
    """
    return tf.matmul(x, tf.squeeze(tf.transpose(x[tf.newaxis], [2, 1, 0]), 2))


def _dot(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Sum over x * y, without a tensor of the products.

    Of two rows: a product of a row and a column takes four to five times as long on CPUs.
    """
    return tf.reshape(tf.matmul(tf.reshape(x, [1, -1]), tf.reshape(y, [1, -1]), transpose_b=True), [])
