"""Products with the kernels of dense layers, and the kernels' gradients as two factors.

Nearly all weights are kernels that one row a video is multiplied with. The gradient of such a kernel [P, Q] is the
product of [P, B] and [B, Q], with far fewer numbers: for a batch of 80 the factors of K16-H512 take 23 MB, the
gradients 278 MB. So gradients stay factors: their norms come from these, and the optimizer multiplies what it needs.

Legend: B videos, T frames, N rows (B, or B for each use of a kernel that is used several times), P rows of a kernel,
Q its columns.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

_MOST_USES = 4
"""Products with one kernel up to which its gradient stays factors; of more (a recurrent layer) it is one matrix."""


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
        kernel: float32 [P, Q].

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
        """float32 x @ kernel [..., Q] of x float32 [..., P], the product itself in `dtype`."""
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
        """What a loss is to be differentiated by, after the forward pass, so that `gradient` knows the kernel's."""
        return [use.output for use in self._uses] + ([self._kernel] if self._is_tensor else [])

    def gradient(self, upstream: Sequence[tf.Tensor | tf.IndexedSlices | None]) -> "Factors | tf.Tensor":
        """The gradient of the kernel: factors where one row a video was multiplied, else float32 [P, Q].

        Args:
            upstream: Gradients of the loss by `sources`; None for what the loss does not depend on.
        """
        # Of each output: what went into it and its gradient are the factors of the kernel's.
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
    """A tape's gradient as a tensor: zeros of `shape` for None, which it gives where the loss depends on nothing."""
    return tf.zeros(shape) if gradient is None else tf.convert_to_tensor(gradient)


def matrix_product(x: tf.Tensor, matrix: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """float32 x @ matrix [..., Q] of x [..., P] and matrix [P, Q], the product itself in `dtype`.

    One product of all rows of x: TensorFlow runs one of [B, T, P] and [P, Q] as B small ones.
    """
    product = tf.cast(tf.cast(_rows(x), dtype) @ tf.cast(matrix, dtype), tf.float32)
    return _reshaped(product, x)


def _rows(x: tf.Tensor) -> tf.Tensor:
    """[N, P] of [..., P]."""
    return x if x.shape.rank == 2 else tf.reshape(x, [-1, x.shape[-1]])


def _reshaped(rows: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """[..., Q] of [N, Q], all dimensions but the last as those of `like`."""
    if like.shape.rank == 2:
        return rows
    shape = tf.concat([tf.shape(like)[:-1], [rows.shape[-1]]], axis=0)
    return tf.ensure_shape(tf.reshape(rows, shape), [*like.shape[:-1], rows.shape[-1]])


class Factors(NamedTuple):
    """The gradient left^T @ right of a kernel."""

    left: tf.Tensor
    """float32 [N, P]."""
    right: tf.Tensor
    """float32 [N, Q]."""
    along: tf.Tensor
    """float32 []: sum over all elements of gradient * kernel."""

    @classmethod
    def of(cls, left: tf.Tensor, output: tf.Tensor, right: tf.Tensor) -> "Factors":
        """Of one product, left [N, P] with the kernel, whose `output` [N, Q] has the gradient `right`."""
        # <X^T dY, W> = <dY, X W>.
        return cls(left, right, _dot(output, right))

    @classmethod
    def sum(cls, each: Sequence["Factors"]) -> "Factors":
        """The sum of several gradients of one kernel: the rows of all of them, one's after the other's."""
        lefts, rights, alongs = zip(*each, strict=True)
        return cls(tf.concat(lefts, axis=0), tf.concat(rights, axis=0), tf.add_n(alongs))

    def gathered(self, context: tf.distribute.ReplicaContext) -> "Factors":
        """The sum of all replicas' gradients: the videos of all of them, one replica's after the other's."""
        # Of batches of different sizes nothing is known about the shape of what is gathered, but the columns are.
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
        """float32 []: squared norm of the gradient.

        From the N x N products of each factor's rows with each other, which are small where the rows are videos. Of
        more rows than the kernel has (frames that a layer laid one under the other) from the gradient itself.
        """
        rows = tf.shape(self.left)[0]
        most = max(self.left.shape[-1], self.right.shape[-1], _ROWS_OF_A_BATCH)
        return tf.cond(rows <= most, self._square_of_rows, self._square_of_product)

    def _square_of_product(self) -> tf.Tensor:
        product = tf.matmul(self.left, self.right, transpose_a=True)
        return _dot(product, product)

    def _square_of_rows(self) -> tf.Tensor:
        """From the products of rows.

        With X = A + 1 m and D = C + 1 n, m and n their mean rows, X^T D = A^T C + N m^T n, since the columns of A and C
        sum to zero. Without the mean rows: what all rows of X have in common is by far the most of them, and must not
        cancel in the sum where the rows of D sum to zero, as they do before a batch normalisation.
        """
        left, right = centered_gram(self.left), centered_gram(self.right)
        rows = tf.cast(tf.shape(self.left)[0], tf.float32)
        common = rows**2 * left.mean_square * right.mean_square
        between = 2.0 * rows * _dot(left.along, right.along)
        return tf.maximum(_dot(left.products, right.products) + between + common, 0.0)


_ROWS_OF_A_BATCH = 1024
"""Rows whose products with each other are always small enough: 4 MiB."""


class CenteredGram(NamedTuple):
    """Products of the rows of a matrix X [N, P] = A + 1 m, m its mean row."""

    products: tf.Tensor
    """float32 [N, N]: A A^T."""
    along: tf.Tensor
    """float32 [N]: A m^T."""
    mean_square: tf.Tensor
    """float32 []: m m^T."""


def centered_gram(x: tf.Tensor) -> CenteredGram:
    """The products of x, float32 [N, P]."""
    mean = tf.reduce_mean(x, axis=0, keepdims=True)  # [1, P]
    centered = x - mean
    along = tf.squeeze(tf.matmul(centered, mean, transpose_b=True), 1)
    return CenteredGram(tf.matmul(centered, centered, transpose_b=True), along, _dot(mean, mean))


def _dot(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Sum over x * y, without a tensor of the products.

    Of two rows: a product of a row and a column takes four to five times as long on CPUs.
    """
    return tf.reshape(tf.matmul(tf.reshape(x, [1, -1]), tf.reshape(y, [1, -1]), transpose_b=True), [])
