"""Products with the kernels of dense layers, and the gradients of the kernels as two factors.

Nearly all weights are kernels that are multiplied with one row for each video. The gradient of such a kernel [P, Q]
is the product of two factors, [P, B] and [B, Q], which have far fewer numbers: for a batch of 80 the factors of
K16-H512 take 23 MB, the gradients 278 MB. So gradients stay factors: their norms are computed from the factors, and the
optimizer multiplies them piece by piece.

Legend: B videos, T frames, N rows (B, or B for each use of a kernel that is used several times), P rows of a kernel,
Q its columns.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

_MOST_USES = 4
"""Largest number of products with one kernel for which its gradient stays factors; with more it is one matrix."""


class _Use(NamedTuple):
    """One product with a kernel: its left side [..., P], its output [..., Q], and the type it was multiplied in."""

    left: tf.Tensor
    output: tf.Tensor
    dtype: tf.DType


class Product:
    """A stand-in for a kernel in one step of training, which remembers what was multiplied with it.

    Layers multiply with it by `trainer.model.layers.matmul`. It may be multiplied with any number of times, with inputs
    of any rank. TensorFlow's functions and operators take it as the tensor that it stands for
    (``tf.transpose(kernel)``, ``kernel[:, 0]``, ``tf.gather(kernel, rows)``); its gradient is right in every case:

    >>> kernel = Product(tf.Variable([[1.0, 2.0]]))
    >>> with tf.GradientTape() as tape:
    ...     loss = tf.reduce_sum(kernel.product(tf.constant([[3.0]])) + 2.0 * kernel)
    >>> kernel.gradient(tape.gradient(loss, kernel.sources)).numpy()
    array([[5., 5.]], dtype=float32)

    Args:
        kernel: The kernel, float32 [P, Q].

    Attributes:
        shape: [P, Q].
    """

    def __init__(self, kernel: tf.Variable) -> None:
        self.shape = kernel.shape
        self._kernel = kernel
        self._uses: list[_Use] = []
        self._is_tensor = False
        self._graph = tf.compat.v1.get_default_graph()

    def product(self, x: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
        """Multiplies x with the kernel.

        Args:
            x: float32 [..., P].
            dtype: Type that the product is computed in.

        Returns:
            float32 x @ kernel [..., Q].
        """
        if self._graph is not tf.compat.v1.get_default_graph():
            # Within a loop, a branch or another function: what is made there cannot be differentiated by outside.
            return matrix_product(x, self._as_tensor(), dtype)
        kernel = tf.cast(tf.convert_to_tensor(self._kernel), dtype)

        # The kernel is an argument, without a gradient, so that a tape follows the product where x is no variable's.
        @tf.custom_gradient
        def multiply(x: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, Any]:
            def backwards(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
                # As (kernel @ upstream^T)^T: transposing the small factor and the small result, and not the kernel
                # within the product, takes two thirds of the time on CPUs with AVX-512.
                columns = tf.cast(tf.transpose(_rows(upstream)), dtype)
                return _reshaped(tf.transpose(tf.cast(kernel @ columns, tf.float32)), x), None

            return matrix_product(x, kernel, dtype), backwards

        output = multiply(x, kernel)
        self._uses.append(_Use(x, output, dtype))
        return output

    @property
    def sources(self) -> list[tf.Tensor | tf.Variable]:
        """The tensors to differentiate the loss by after the forward pass; `gradient` takes these derivatives."""
        return [use.output for use in self._uses] + ([self._kernel] if self._is_tensor else [])

    def gradient(self, upstream: Sequence[tf.Tensor | tf.IndexedSlices | None]) -> "Factors | tf.Tensor":
        """Returns the gradient of the kernel.

        Args:
            upstream: Gradients of the loss by each of `sources`; None for one that the loss does not depend on.

        Returns:
            Factors, where all inputs of the products had one row for each video; else float32 [P, Q].
        """
        # The input of a product and the gradient by its output are the factors of the kernel's gradient.
        pairs = [
            (use, right)
            for use, right in zip(self._uses, upstream[: len(self._uses)], strict=True)
            if right is not None
        ]
        as_tensor = upstream[-1] if self._is_tensor else None
        one_row_a_video = all(use.left.shape.rank == 2 for use, _ in pairs)
        if pairs and as_tensor is None and one_row_a_video and len(pairs) <= _MOST_USES:
            each = [Factors.of(use.left, use.output, right) for use, right in pairs]
            return each[0] if len(each) == 1 else Factors.sum(each)
        parts = [
            tf.cast(
                tf.matmul(
                    tf.cast(_rows(use.left), use.dtype), tf.cast(_rows(right), use.dtype), transpose_a=True
                ),
                tf.float32,
            )
            for use, right in pairs
        ]
        if as_tensor is not None:
            parts.append(tf.convert_to_tensor(as_tensor))
        return tf.add_n(parts) if parts else tf.zeros(self.shape)

    def _as_tensor(self) -> tf.Tensor:
        self._is_tensor = True
        return tf.convert_to_tensor(self._kernel)

    def __getitem__(self, places: Any) -> tf.Tensor:
        return self._as_tensor()[places]


def _converted(
    kernel: Any, dtype: tf.DType | None = None, name: str | None = None, as_ref: bool = False
) -> Any:
    del name, as_ref
    if dtype is not None and not dtype.is_compatible_with(tf.float32):
        return NotImplemented
    return kernel._as_tensor()


def _operator(name: str) -> Any:
    def apply(self: Any, *arguments: Any) -> tf.Tensor:
        return getattr(self._as_tensor(), name)(*arguments)

    return apply


def stand_in(kind: type) -> type:
    """Makes TensorFlow's functions and operators take a class as the tensor of its `_as_tensor`; a decorator."""
    tf.register_tensor_conversion_function(kind, _converted)
    for name in ("add", "sub", "mul", "truediv", "matmul", "pow"):
        for side in ("", "r"):
            setattr(kind, f"__{side}{name}__", _operator(f"__{side}{name}__"))
    for name in ("neg", "abs"):
        setattr(kind, f"__{name}__", _operator(f"__{name}__"))
    return kind


stand_in(Product)


def dense_gradient(gradient: tf.Tensor | tf.IndexedSlices | None, shape: tf.TensorShape) -> tf.Tensor:
    """Returns a tape's gradient as a tensor: zeros of `shape` for None, where the loss depends on no such variable."""
    return tf.zeros(shape) if gradient is None else tf.convert_to_tensor(gradient)


def matrix_product(x: tf.Tensor, matrix: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Multiplies all rows of x with a matrix in one product; of [B, T, P] TensorFlow would make B small ones.

    Args:
        x: float32 [..., P].
        matrix: [P, Q].
        dtype: Type that the product is computed in.

    Returns:
        float32 x @ matrix [..., Q].
    """
    product = tf.cast(tf.cast(_rows(x), dtype) @ tf.cast(matrix, dtype), tf.float32)
    return _reshaped(product, x)


def _rows(x: tf.Tensor) -> tf.Tensor:
    """Reshapes [..., P] to [N, P]."""
    return x if x.shape.rank == 2 else tf.reshape(x, [-1, x.shape[-1]])


def _reshaped(rows: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """Reshapes [N, Q] to [..., Q], with all dimensions of `like` but the last."""
    if like.shape.rank == 2:
        return rows
    shape = tf.concat([tf.shape(like)[:-1], [rows.shape[-1]]], axis=0)
    result = tf.reshape(rows, shape)
    # What is known of it; LiteRT has no operation that checks.
    result.set_shape([*like.shape[:-1], rows.shape[-1]])
    return result


class Factors(NamedTuple):
    """The gradient of a kernel as left^T @ right."""

    left: tf.Tensor
    """float32 [N, P]: the rows that were multiplied with the kernel."""
    right: tf.Tensor
    """float32 [N, Q]: the gradients by the rows of the products."""
    along: tf.Tensor
    """float32 []: sum over all elements of gradient * kernel."""

    @classmethod
    def of(cls, left: tf.Tensor, output: tf.Tensor, right: tf.Tensor) -> "Factors":
        """Makes the factors of one product.

        Args:
            left: float32 [N, P], the input of the product.
            output: float32 [N, Q], the product.
            right: float32 [N, Q], the gradient of the loss by `output`.
        """
        # <X^T dY, W> = <dY, X W>.
        return cls(left, right, _dot(output, right))

    @classmethod
    def sum(cls, each: Sequence["Factors"]) -> "Factors":
        """Adds several gradients of one kernel: the factors of the sum have the rows of all of them."""
        lefts, rights, alongs = zip(*each, strict=True)
        return cls(tf.concat(lefts, axis=0), tf.concat(rights, axis=0), tf.add_n(alongs))

    def gathered(self, context: tf.distribute.ReplicaContext) -> "Factors":
        """Adds the gradients of all replicas: the factors of the sum have the rows of all of them."""
        # Replicas may have batches of different sizes, so only the number of columns of the result is known.
        left, right = (
            tf.ensure_shape(context.all_gather(side, axis=0), [None, side.shape[-1]])
            for side in (self.left, self.right)
        )
        return Factors(
            left,
            right,
            context.all_reduce(tf.distribute.ReduceOp.SUM, self.along),
        )

    def square(self) -> tf.Tensor:
        """Returns the squared norm of the gradient, float32 [].

        It is computed from the N x N products of each factor's rows with each other, which are small where the rows are
        videos. Where there are more rows than the kernel has (a layer that multiplies all frames at once), it is
        computed from the gradient itself.
        """
        rows = tf.shape(self.left)[0]
        most = max(self.left.shape[-1], self.right.shape[-1], _ROWS_OF_A_BATCH)
        return tf.cond(rows <= most, self._square_of_rows, self._square_of_product)

    def _square_of_product(self) -> tf.Tensor:
        product = tf.matmul(self.left, self.right, transpose_a=True)
        return _dot(product, product)

    def _square_of_rows(self) -> tf.Tensor:
        """Computes the squared norm from the products of the rows, with the mean rows taken apart.

        Let X = A + 1 m and D = C + 1 n, where m and n are the mean rows of X and D. Then X^T D = A^T C + N m^T n, since
        the columns of A and C sum to zero. The mean row is by far the largest part of the rows of X. Before a batch
        normalisation the rows of D sum to zero; without taking the means apart, large numbers would cancel in the sum.
        """
        left, right = centered_gram(self.left), centered_gram(self.right)
        rows = tf.cast(tf.shape(self.left)[0], tf.float32)
        common = rows**2 * left.mean_square * right.mean_square
        between = 2.0 * rows * _dot(left.along, right.along)
        return tf.maximum(_dot(left.products, right.products) + between + common, 0.0)


_ROWS_OF_A_BATCH = 1024
"""Number of rows up to which the products of the rows with each other are always small enough: 4 MiB."""


class CenteredGram(NamedTuple):
    """Products of the rows of a matrix X [N, P] = A + 1 m, where m is its mean row."""

    products: tf.Tensor
    """float32 [N, N]: A A^T."""
    along: tf.Tensor
    """float32 [N]: A m^T."""
    mean_square: tf.Tensor
    """float32 []: m m^T."""


def centered_gram(x: tf.Tensor) -> CenteredGram:
    """Computes the products of the rows of x, float32 [N, P]."""
    mean = tf.reduce_mean(x, axis=0, keepdims=True)  # [1, P]
    centered = x - mean
    along = tf.squeeze(tf.matmul(centered, mean, transpose_b=True), 1)
    return CenteredGram(tf.matmul(centered, centered, transpose_b=True), along, _dot(mean, mean))


def _dot(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Sums x * y over all elements, without a tensor of the products.

    It multiplies two rows, since the product of a row and a column takes four to five times as long on CPUs.
    """
    return tf.reshape(tf.matmul(tf.reshape(x, [1, -1]), tf.reshape(y, [1, -1]), transpose_b=True), [])
