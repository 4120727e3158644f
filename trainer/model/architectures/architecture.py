"""The contract of an architecture: all that training, averaging, compression, assembling and serving know of a model.

Legend: B videos, T frames, V classes.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from trainer.base.sized_name import SizedName
from trainer.model.tensor_spec import TensorSpec

if TYPE_CHECKING:
    import tensorflow as tf

    from trainer.model.frames import Frames
    from trainer.model.layers import Weights
    from trainer.model.training_pass import TrainingPass

_TRAINING_COPIES = 5
"""Copies of the weights: themselves, their gradients, Adam's two slots, the largest temporary of an update."""


@dataclass(frozen=True)
class Architecture(SizedName, ABC):
    """A family of models with its sizes, e.g. Gated NetVLAD with 24 clusters and 1440 hidden units, K24-H1440.

    A family is a frozen dataclass whose fields are its sizes (see `trainer.base.sized_name`), which make its name; the
    name becomes the suffix of the ids of a pipeline's steps. Modules of families import TensorFlow in `forward` only:
    names and sizes are asked for where nothing is computed.
    """

    TITLE: ClassVar[str]
    """What the family is, in a few words, for lists of all of them."""

    @abstractmethod
    def tensor_specs(self, num_classes: int) -> tuple[TensorSpec, ...]:
        """Returns all tensors of a model of V classes, in an order that never changes: initial weights depend on it."""

    @abstractmethod
    def forward(
        self,
        frames: "Frames",
        counts: "tf.Tensor | None",
        weights: "Weights",
        *,
        training: "TrainingPass | None" = None,
        dtype: "tf.DType | None" = None,
    ) -> "tf.Tensor":
        """Computes the probabilities of the V classes for each video.

        In inference a video's row depends on nothing but its own frames: not on other rows, padding, or chance.

        Args:
            frames: B videos as `trainer.model.frames` makes them; `frames.values()` and `frames.mean(counts)` are
                numbers.
            counts: float32 [B, T], how often a frame counts: 1 for a real frame and 0 for padding, more for one that
                was drawn several times; None for once each. A real frame is never behind padding.
            weights: Tensors by the names of `tensor_specs`.
            training: None in inference. In training it has the dropout and the seed, takes the statistics of batch
                normalisation, and may be given further outputs and losses.
            dtype: Type in which matrix products are computed: tf.float32 (also for None), or tf.bfloat16 for mixed
                precision; all else is float32.

        Returns:
            float32 [B, V] in [0, 1].
        """

    @abstractmethod
    def activations(self, frames: int, num_classes: int) -> int:
        """Returns how many numbers a forward pass keeps of one video of so many frames for the backward pass."""

    def training_bytes(self, batch: int, frames: int, num_classes: int) -> int:
        """Returns the bytes of the device that a training step takes: weights, gradients, Adam's slots, the batch.

        Float32 throughout; backward passes keep about as much as the forward pass made.
        """
        weights = sum(4 * spec.size for spec in self.tensor_specs(num_classes))
        return _TRAINING_COPIES * weights + 4 * batch * self.activations(frames, num_classes)
