"""Stored forms that a training can work towards, and what that does to its kernels in each step.

- Integers (int4-b64, and with fewer bits int3-b64 and int2-b64, which are no codecs): kernels are rounded in the
  forward pass, and the gradient of a rounded kernel is taken for that of the kernel (straight-through; Bengio et al.
  2013, https://arxiv.org/abs/1308.3432, Jacob et al. 2018, https://arxiv.org/abs/1712.05877).
- sparse-k30-int8 and the like: the share of zeros rises along a cubic, those of least magnitude in each column first
  (Zhu & Gupta 2017, https://arxiv.org/abs/1710.01878), and stays from the end of the cubic on.

Legend: P rows of a kernel, Q its columns, b rows of a block.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from serving.export.codecs.rounding import block_scales, calibrated_rounding, round_to
from serving.export.compression import compress, stored_bytes
from serving.export.stored_form import StoredForm
from trainer.model.model_spec import ModelSpec
from trainer.model.product import Product
from trainer.model.weights import Arrays

_EVERY = 25
"""Steps after which scales or masks are chosen anew."""
_SHRINKS = np.linspace(1.0, 0.7, 7)


class Hook:
    """What is done to the kernels in each step of a training."""

    def product(self, kernel: tf.Variable) -> Product:
        """Stands in for a kernel in a step."""
        return Product(kernel)

    def before(self, step: int) -> None:
        """Is called before each step, with its number."""

    def after(self) -> None:
        """Is called after each step."""


class Form(Protocol):
    """A stored form of a model."""

    name: str

    def bytes(self, spec: ModelSpec) -> float:
        """Bytes of the tensors as stored."""

    def decoded(self, spec: ModelSpec, weights: Arrays, statistics: Arrays) -> Arrays:
        """The weights as they are after loading; `statistics` as `compress` takes them."""

    def hook(self, kernels: Mapping[str, tf.Variable], begin: int, end: int) -> Hook:
        """What trains the big kernels towards this form, between these steps."""


@dataclass(frozen=True)
class Integers:
    """Whole numbers of so many bits and a float16 scale for each block of rows, as int4-b64 has them."""

    bits: int
    block: int

    @property
    def name(self) -> str:
        return f"int{self.bits}-b{self.block}"

    @property
    def largest(self) -> int:
        return 2 ** (self.bits - 1) - 1

    def bytes(self, spec: ModelSpec) -> float:
        scales = sum(2 * -(-shape[0] // self.block) * shape[1] for shape in big_shapes(spec).values())
        return scales + sum(
            tensor.size * (self.bits / 8 if tensor.compressible else 4) for tensor in spec.tensors
        )

    def decoded(self, spec: ModelSpec, weights: Arrays, statistics: Arrays) -> Arrays:
        kernels = {name: self._rounded(weights[name], statistics.get(name)) for name in big_shapes(spec)}
        return {**weights, **kernels}

    def _rounded(self, kernel: np.ndarray, statistics: np.ndarray | None) -> np.ndarray:
        if statistics is None:
            scales = block_scales(kernel, self.block, self.largest)
            return round_to(kernel, self._each_row(scales, kernel), self.largest) * self._each_row(
                scales, kernel
            )
        values, scales = calibrated_rounding(kernel, statistics, self.block, self.largest)
        return values * self._each_row(scales, kernel)

    def _each_row(self, scales: np.ndarray, kernel: np.ndarray) -> np.ndarray:
        return np.repeat(scales.astype(np.float32), self.block, axis=0)[: len(kernel)]

    def hook(self, kernels: Mapping[str, tf.Variable], begin: int, end: int) -> Hook:
        del end
        return _Rounding(self, kernels, begin)


class _RoundedProduct(Product):
    """A kernel of which the forward pass sees the rounded one; its gradient is as if there were no rounding."""

    def __init__(self, kernel: tf.Variable, rounded: tf.Tensor) -> None:
        super().__init__(kernel)
        self._kernel = rounded

    def _as_tensor(self) -> tf.Tensor:
        # A tape watches variables, and the rounded kernel is none: its gradient would be 0 and nobody would see it.
        raise TypeError("the kernel of a family that this benchmark rounds is used in products alone")


class _Rounding(Hook):
    """Rounds the kernels in the forward pass, by scales of least squared error that are found anew now and then."""

    def __init__(self, form: Integers, kernels: Mapping[str, tf.Variable], begin: int) -> None:
        self._form, self._begin = form, begin
        self._kernels = {kernel.ref(): name for name, kernel in kernels.items()}
        self._scales = {
            name: tf.Variable(
                tf.zeros([-(-kernel.shape[0] // form.block), 1, kernel.shape[1]]), trainable=False
            )
            for name, kernel in kernels.items()
        }
        self._choose = [
            tf.function(lambda kernel=kernel, scales=self._scales[name]: scales.assign(self._best(kernel)))
            for name, kernel in kernels.items()
        ]

    def before(self, step: int) -> None:
        if (step - self._begin) % _EVERY == 0:
            for choose in self._choose:
                choose()

    def product(self, kernel: tf.Variable) -> Product:
        name = self._kernels.get(kernel.ref())
        if name is None:
            return Product(kernel)
        rounded = self._rounded(self._blocks(kernel), tf.convert_to_tensor(self._scales[name]))
        return _RoundedProduct(kernel, tf.reshape(rounded, [-1, kernel.shape[1]])[: kernel.shape[0]])

    def _blocks(self, kernel: tf.Variable) -> tf.Tensor:
        rows, columns = kernel.shape
        missing = -rows % self._form.block
        whole = tf.pad(kernel, [[0, missing], [0, 0]]) if missing else tf.convert_to_tensor(kernel)
        return tf.reshape(whole, [-1, self._form.block, columns])

    def _rounded(self, blocks: tf.Tensor, scales: tf.Tensor) -> tf.Tensor:
        largest = float(self._form.largest)
        return tf.clip_by_value(tf.round(tf.math.divide_no_nan(blocks, scales)), -largest, largest) * scales

    def _best(self, kernel: tf.Variable) -> tf.Tensor:
        blocks = self._blocks(kernel)
        reach = tf.reduce_max(tf.abs(blocks), axis=1, keepdims=True) / self._form.largest
        best, least = reach, tf.fill(tf.shape(reach), np.float32(np.inf))
        for shrink in _SHRINKS:
            scales = tf.cast(tf.cast(reach * shrink, tf.float16), tf.float32)
            error = tf.reduce_sum(tf.square(self._rounded(blocks, scales) - blocks), axis=1, keepdims=True)
            best, least = tf.where(error < least, scales, best), tf.minimum(error, least)
        return best


@dataclass(frozen=True)
class Sparse:
    """A form of the codec `sparse`."""

    name: str

    def bytes(self, spec: ModelSpec) -> float:
        return stored_bytes(spec, StoredForm.parse(self.name))

    def decoded(self, spec: ModelSpec, weights: Arrays, statistics: Arrays) -> Arrays:
        encoded = compress(spec, weights, StoredForm.parse(self.name), statistics)
        return {name: tensor.decode() for name, tensor in encoded.items()}

    def hook(self, kernels: Mapping[str, tf.Variable], begin: int, end: int) -> Hook:
        return _Pruning(StoredForm.parse(self.name).codec.kept / 100, kernels, begin, end)


class _Pruning(Hook):
    """Sets weights to 0 after each step, of each column a share that rises: s (1 - (1 - done)^3)."""

    def __init__(self, kept: float, kernels: Mapping[str, tf.Variable], begin: int, end: int) -> None:
        self._kept, self._begin, self._end = kept, begin, end
        self._kernels = kernels
        self._masks = {
            name: tf.Variable(tf.ones(kernel.shape), trainable=False) for name, kernel in kernels.items()
        }
        self.after = tf.function(self._apply)

    def before(self, step: int) -> None:
        if step > self._end or (step - self._begin) % _EVERY:
            return
        done = min(1.0, (step - self._begin) / max(1, self._end - self._begin))
        sparsity = (1 - self._kept) * (1 - (1 - done) ** 3)
        for name, kernel in self._kernels.items():
            magnitude = np.abs(kernel.numpy())
            rows = len(magnitude)
            stay = int(np.ceil(rows * (1 - sparsity) - 1e-6))
            least = np.partition(magnitude, rows - stay, axis=0)[rows - stay]
            self._masks[name].assign((magnitude >= least).astype(np.float32))

    def _apply(self) -> None:
        for name, kernel in self._kernels.items():
            kernel.assign(kernel * self._masks[name])


def form_of(name: str) -> Form:
    """The form of a name."""
    integers = re.fullmatch(r"int(\d)-b(\d+)", name)
    return Integers(*map(int, integers.groups())) if integers else Sparse(name)


def big_shapes(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    return {tensor.name: tensor.shape for tensor in spec.tensors if tensor.compressible}
