"""A model as one graph of frames alone: what is converted for phones, small computers and edge servers.

The signatures of a SavedModel parse strings, refuse bad rows and decode weights at load, none of which the runtimes of
devices know. This graph has matrix products and elementwise operations only.

Legend: T frames, V classes, k = 20 (or V, if that is less).
"""

import tensorflow as tf

from serving.export.card import ModelCard
from serving.export.saved_model import read_weights
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


class DeviceGraph(tf.Module):
    """The graph of a SavedModel of this project, with decoded weights.

    Args:
        directory: Directory of saved_model.pb.
        block: Rows of the blocks that big kernels are multiplied by, so that each has scales of its own; None for
            whole kernels.

    Attributes:
        card: The SavedModel's card.
    """

    def __init__(self, directory: str, block: int | None = None) -> None:
        super().__init__()
        self.card = ModelCard.load(directory)
        self._architectures = [self.card.spec(index).architecture for index in range(len(self.card.members))]
        self._weights = [self._member(directory, index, block) for index in range(len(self.card.members))]

    def _member(self, directory: str, index: int, block: int | None) -> dict[str, tf.Variable | KernelBlocks]:
        big = {tensor.name for tensor in self.card.spec(index).tensors if tensor.compressible}
        return {
            name: KernelBlocks(value, block)
            if block and name in big and value.ndim == 2
            else tf.Variable(value, trainable=False)
            for name, value in read_weights(directory, index).items()
        }

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
                member.weight * architecture.forward(frames, counts, weights)
                for member, architecture, weights in zip(
                    self.card.members, self._architectures, self._weights, strict=True
                )
            ]
        )
        scores, classes = tf.math.top_k(predictions, min(TOP_K, self.card.num_classes))
        return {"classes": classes, "scores": scores, "predictions": predictions}


def _frames(rgb: tf.Tensor, audio: tf.Tensor) -> Frames:
    """Does what `trainer.model.frames.dequantize` does, without the operation for norms, which LiteRT lacks."""
    parts = [tf.cast(part, tf.float32) + ORIGIN for part in (rgb, audio)]
    squares = tf.add_n([tf.reduce_sum(tf.square(part), axis=-1) for part in parts])
    return Frames(*map(DecodedFeature, parts), tf.math.rsqrt(tf.maximum(squares, 1e-12)))
