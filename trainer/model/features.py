"""A feature of all frames, rgb or audio: a matrix for each video that layers multiply from either side.

Legend: B videos, T frames, S numbers of a feature, K clusters.
"""

from typing import Protocol

import tensorflow as tf

from trainer.data.yt8m import CODE_OFFSET, CODE_SCALE
from trainer.native import operations

ORIGIN = CODE_OFFSET / CODE_SCALE
"""A byte q of a stored feature stands for the number (q + ORIGIN) * CODE_SCALE. Frames are scaled to norm 1, where that
factor falls out, so the network computes with q + ORIGIN."""


class Feature(Protocol):
    """The numbers X [B, T, S] of a feature.

    Attributes:
        size: S, the numbers of a frame.
    """

    size: int

    def by_matrix(self, matrix: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """Multiplies every frame with a matrix.

        Args:
            matrix: float32 [S, K].
            dtype: Type that the product is computed in.

        Returns:
            float32 X @ matrix [B, T, K].
        """

    def pooled(self, weights: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """Sums the frames of each video with K weights each.

        Args:
            weights: float32 [B, T, K].
            dtype: Type that the product is computed in.

        Returns:
            float32 weights^T @ X [B, K, S].
        """

    def decoded(self) -> tf.Tensor:
        """Returns X itself, float32 [B, T, S], for layers that need the numbers."""


class DecodedFeature:
    """A feature as numbers, multiplied by TensorFlow.

    The products transpose their smaller side, which is several times faster.

    Args:
        values: The numbers X, float32 [B, T, S].
    """

    def __init__(self, values: tf.Tensor) -> None:
        self.values = values
        self.size = values.shape[-1]

    def by_matrix(self, matrix: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
        """See `Feature`.

        It is one product of [B * T, S]: TensorFlow would run one of [B, T, S] as B small ones.
        """
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
    """A feature as the bytes that it is stored in, multiplied by this project's own operations, always in float32.

    Args:
        frames: uint8 [B, T, D].
        begin: Place of the feature's first byte in a frame.
        size: S, the bytes of the feature in a frame.
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
        """Returns X @ matrices^T, float32 [B, T, K], of matrices [1 or B, K, S]."""
        return operations().frames_by_matrix(self._frames, matrices, **self._place)

    def _pooled(self, weights: tf.Tensor) -> tf.Tensor:
        return operations().pooled_frames(self._frames, weights, **self._place)
