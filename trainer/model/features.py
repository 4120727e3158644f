"""A feature of all frames, rgb or audio, as NetVLAD sees it: something to be multiplied from either side.

Legend: B videos, T frames, S numbers of a feature, K clusters.
"""

from typing import Protocol

import tensorflow as tf

from trainer.native import operations

ORIGIN = (4.0 / 512.0 - 2.0) * (255.0 / 4.0)
"""Of the code that YouTube-8M's features are stored in: q stands for (q + ORIGIN) * (4 / 255)."""


class Feature(Protocol):
    """Numbers X [B, T, S].

    Attributes:
        size: S.
    """

    size: int

    def by_matrix(self, matrix: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """float32 X @ matrix [B, T, K] of matrix float32 [S, K], the product itself in `dtype`."""

    def pooled(self, weights: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """float32 weights^T @ X [B, K, S], video by video, of weights float32 [B, T, K]."""

    def decoded(self) -> tf.Tensor:
        """float32 X [B, T, S] itself, for layers that need the numbers."""


class DecodedFeature:
    """A feature as numbers, which TensorFlow multiplies. It is the small side that is transposed: several times faster.

    Args:
        values: float32 [B, T, S].
    """

    def __init__(self, values: tf.Tensor) -> None:
        self.values = values
        self.size = values.shape[-1]

    def by_matrix(self, matrix: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """See `Feature`; one product of [B * T, S], since one with a shared right side would run as B small ones."""
        flat = tf.reshape(tf.cast(self.values, dtype), [-1, self.size])
        columns = tf.cast(tf.transpose(matrix), dtype)  # [K, S]
        product = tf.cast(tf.matmul(flat, columns, transpose_b=True), tf.float32)
        return tf.reshape(product, [tf.shape(self.values)[0], tf.shape(self.values)[1], matrix.shape[-1]])

    def pooled(self, weights: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """See `Feature`."""
        product = tf.matmul(tf.cast(weights, dtype), tf.cast(self.values, dtype), transpose_a=True)
        return tf.cast(product, tf.float32)

    def decoded(self) -> tf.Tensor:
        """See `Feature`."""
        return self.values


class StoredFeature:
    """A feature as the bytes it is stored in, which this project's own operations multiply, always in float32.

    Args:
        frames: uint8 [B, T, D].
        begin: First byte of the feature in a frame.
        size: S.
    """

    def __init__(self, frames: tf.Tensor, begin: int, size: int) -> None:
        self.size = size
        self._frames = frames
        self._place = {"begin": begin, "size": size, "origin": ORIGIN}

    def by_matrix(self, matrix: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """See `Feature`."""
        del dtype

        @tf.custom_gradient
        def multiply(columns):  # [K, S]
            return self._by_matrices(columns[tf.newaxis]), lambda upstream: tf.reduce_sum(
                self._pooled(upstream), axis=0
            )

        return multiply(tf.transpose(matrix))

    def pooled(self, weights: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """See `Feature`."""
        del dtype
        return tf.custom_gradient(lambda weights: (self._pooled(weights), self._by_matrices))(weights)

    def decoded(self) -> tf.Tensor:
        """See `Feature`."""
        begin, size = self._place["begin"], self._place["size"]
        return tf.cast(self._frames[:, :, begin : begin + size], tf.float32) + ORIGIN

    def _by_matrices(self, matrices: tf.Tensor) -> tf.Tensor:
        """X @ matrices^T [B, T, K] of matrices [1 or B, K, S]."""
        return operations().frames_by_matrix(self._frames, matrices, **self._place)

    def _pooled(self, weights: tf.Tensor) -> tf.Tensor:
        return operations().pooled_frames(self._frames, weights, **self._place)
