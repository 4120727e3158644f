"""An architecture and a codec as a newcomer would add them, and as nobody needs them: they live in the tests alone.

Legend: B videos, T frames, W width, V classes.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import tensorflow as tf

from serving.export.codecs import CODECS, VALUES, Codec
from serving.export.codecs.codec import PartSpec
from trainer.base.sized_name import size
from trainer.model.architectures import ARCHITECTURES, Architecture
from trainer.model.layers import matmul
from trainer.model.layers.batch_norm import batch_norm
from trainer.model.tensor_spec import FRAME_ROWS, TensorSpec, batch_norm_specs, glorot


@ARCHITECTURES.register
@dataclass(frozen=True)
class Stages(Architecture):
    """Two stages on the mean of projected frames, the second of which sees what the first one says.

    One kernel is multiplied with frames [B, T, 1152], one is used by both stages, one is used transposed; the first
    stage has a loss of its own, and so have the hidden values.
    """

    PREFIX: ClassVar[str] = "Stages"
    EXAMPLE: ClassVar[str] = "Stages-W8"
    TITLE: ClassVar[str] = "two stages on projected frames"

    width: int = size("W")
    normalised: int = size("N", minimum=0, default=1)

    def tensor_specs(self, num_classes):
        return (
            TensorSpec(
                name="frame/weights",
                shape=(1152, self.width),
                compressible=True,
                stddev=1 / math.sqrt(1152),
                feature_rows=FRAME_ROWS,
            ),
            *(batch_norm_specs("frame/bn", self.width) if self.normalised else ()),
            TensorSpec(
                name="stage/weights",
                shape=(self.width, num_classes),
                compressible=True,
                stddev=glorot(self.width, num_classes),
                l2=True,
            ),
            TensorSpec(name="stage/scale", shape=(num_classes,), stddev=0.1, constant=1.0),
        )

    def forward(self, frames, counts, weights, *, training=None, dtype=None):
        dtype = dtype or tf.float32
        values = frames.values()
        if counts is None:
            counts = tf.ones(tf.shape(values)[:2])
        column = counts[:, :, tf.newaxis]
        hidden = matmul(values, weights["frame/weights"], dtype)  # [B, T, W]
        if self.normalised:
            hidden = batch_norm(hidden, weights, "frame/bn", training, column)
        hidden = tf.reduce_sum(hidden * column, axis=1) / tf.reduce_sum(column, axis=1)  # [B, W]
        stage = weights["stage/weights"]
        first = tf.sigmoid(matmul(hidden, stage, dtype))  # [B, V]
        if training is not None:
            training.add_output(first, weight=0.5)
            training.add_loss(0.01 * tf.reduce_mean(tf.reduce_sum(hidden**2, axis=1)))
            hidden = training.dropout(training.dropout(hidden))
        hidden += first @ tf.transpose(stage)
        return tf.sigmoid(matmul(hidden, stage, dtype) * weights["stage/scale"])

    def activations(self, frames, num_classes):
        return frames * (1152 + self.width) + 2 * num_classes


@CODECS.register
@dataclass(frozen=True)
class Columns(Codec):
    """Whole numbers of at most `levels` and a float16 scale a column: Columns-L127 takes a byte a weight."""

    PREFIX: ClassVar[str] = "Columns"
    EXAMPLE: ClassVar[str] = "Columns-L127"

    levels: int = size("L")

    def layout(self, shape):
        return {VALUES: PartSpec(shape, "int8"), "scales": PartSpec(shape[-1:], "float16")}

    def encode(self, array, statistics=None):
        if not np.isfinite(array).all():
            raise ValueError(" has values that are not finite")
        largest = np.abs(array).reshape(-1, array.shape[-1]).max(axis=0, initial=1e-4)
        scales = (largest / self.levels * 1.001).astype(np.float16)
        values = np.rint(array / scales.astype(np.float32)).clip(-self.levels, self.levels)
        return {VALUES: values.astype(np.int8), "scales": scales}

    def decode_tensors(self, parts, shape):
        return tf.cast(parts[VALUES], tf.float32) * tf.cast(parts["scales"], tf.float32)
