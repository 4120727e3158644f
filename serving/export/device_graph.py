"""A model as one graph of frames alone: what is converted for phones, small computers and edge servers.

The signatures of a SavedModel parse strings, refuse bad rows and decode weights at load, none of which the runtimes of
devices know. This graph has matrix products and elementwise operations only.

Legend: T frames, V classes, k = 20 (or V, if that is less).
"""

import posixpath
from collections.abc import Sequence

import tensorflow as tf

from serving.export.card import ModelCard
from serving.export.class_names import ASSET
from serving.export.device_weights import LARGEST
from serving.export.saved_model import Member, read_weights
from serving.export.vocabulary import Vocabulary
from trainer.base.errors import UserError
from trainer.base.units import MIB
from trainer.data.yt8m import AUDIO_SIZE, RGB_SIZE, TOP_K
from trainer.model.features import ORIGIN, DecodedFeature
from trainer.model.frames import Frames
from trainer.model.kernel_blocks import KernelBlocks

INPUTS = (
    tf.TensorSpec([1, None, RGB_SIZE], tf.uint8, name="rgb"),
    tf.TensorSpec([1, None, AUDIO_SIZE], tf.uint8, name="audio"),
    tf.TensorSpec([1], tf.int32, name="num_frames"),
)
"""One video: T frames, 1 to 300, of which the first `num_frames` are real and the others padding."""

SMALLEST_KERNEL = 2**17
"""Weights of a kernel from which on it is stored in fewer bytes. The kernels that assign frames to clusters have less:
they are sensitive, and would save nothing that counts."""


class DeviceGraph(tf.Module):
    """The graph of weighted members, with decoded weights.

    Args:
        members: At least one, all with the same classes.
        block: Rows of the blocks that big kernels are multiplied by, so that each has scales of its own; None for
            whole kernels.

    Attributes:
        variants: The members' names, for messages.
    """

    def __init__(self, members: Sequence[Member], block: int | None = None) -> None:
        super().__init__()
        self.variants = " + ".join(member.spec.name for member in members)
        self._top_k = min(TOP_K, members[0].spec.num_classes)
        self._architectures = [member.spec.architecture for member in members]
        self._shares = [member.weight for member in members]
        self._weights = [_variables(member, block) for member in members]

    @classmethod
    def of(cls, directory: str, block: int | None = None) -> "DeviceGraph":
        """The graph of a SavedModel of this project in a directory; UserError where its weights are too large."""
        card = ModelCard.load(directory)
        size = sum(card.spec(index).float32_bytes for index in range(len(card.members)))
        if size > LARGEST:
            raise UserError(
                f"{directory} has {size / MIB:,.0f} MiB of weights in float32, and a file for devices can be made of "
                f"{LARGEST / MIB:,.0f}: export a smaller ensemble, or one of its members"
            )
        members = [
            Member(
                spec=card.spec(index),
                weights=read_weights(directory, index),
                weight=member.weight,
            )
            for index, member in enumerate(card.members)
        ]
        return cls(members, block)

    @tf.function(input_signature=INPUTS, autograph=False)
    def predict(self, rgb: tf.Tensor, audio: tf.Tensor, num_frames: tf.Tensor) -> dict[str, tf.Tensor]:
        """Scores one video.

        Returns:
            `classes` int32 [1, k] and `scores` float32 [1, k], descending, and `predictions` float32 [1, V].
        """
        frames = _frames(rgb, audio)
        counts = tf.sequence_mask(num_frames, tf.shape(rgb)[1], tf.float32)
        predictions = tf.add_n(
            [
                share * architecture.forward(frames, counts, weights)
                for share, architecture, weights in zip(
                    self._shares, self._architectures, self._weights, strict=True
                )
            ]
        )
        scores, classes = tf.math.top_k(predictions, self._top_k)
        return {"classes": classes, "scores": scores, "predictions": predictions}


def class_labels(directory: str, num_classes: int) -> list[str] | None:
    """The names of the classes in a SavedModel of this project, in order; None where it has none."""
    path = posixpath.join(directory, "assets", ASSET)
    if not tf.io.gfile.exists(path):
        return None
    vocabulary = Vocabulary.load(path)
    return [vocabulary.name(index) for index in range(num_classes)]


def _variables(member: Member, block: int | None) -> dict[str, tf.Variable | KernelBlocks]:
    big = {tensor.name for tensor in member.spec.tensors if tensor.compressible and len(tensor.shape) == 2}
    decoded = {name: value.decode() for name, value in member.encoded().items()}
    return {
        name: KernelBlocks(value, block) if block and name in big else tf.Variable(value, trainable=False)
        for name, value in decoded.items()
    }


def _frames(rgb: tf.Tensor, audio: tf.Tensor) -> Frames:
    """Does what `trainer.model.frames.dequantize` does, without the operation for norms, which LiteRT lacks."""
    parts = [tf.cast(part, tf.float32) + ORIGIN for part in (rgb, audio)]
    squares = tf.add_n([tf.reduce_sum(tf.square(part), axis=-1) for part in parts])
    return Frames(*map(DecodedFeature, parts), tf.math.rsqrt(tf.maximum(squares, 1e-12)))
