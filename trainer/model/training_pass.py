"""The context of a forward pass in training: its randomness, and its statistics, further outputs and losses.

Legend: B videos, V classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import tensorflow as tf

Moments = dict[str, tf.Tensor]
"""Batch mean and variance by the name of the moving statistic that they update."""


@dataclass
class TrainingPass:
    """The context of one forward pass in training. Without a seed the pass only measures, and nothing in it is random.

    Attributes:
        dropout_rate: Share of the values that `dropout` drops, at least 0 and below 1.
        seed: int64 [2], different at each step and on each replica; None where nothing may be random.
        moments: Receives the batch's statistics (see `trainer.model.layers.batch_norm`).
        outputs: Weight and probabilities of each call of `add_output`.
        losses: The losses that `add_loss` received.
    """

    dropout_rate: float = 0.0
    seed: tf.Tensor | None = None
    moments: Moments = field(default_factory=dict)
    outputs: list[tuple[float, tf.Tensor]] = field(default_factory=list)
    losses: list[tf.Tensor] = field(default_factory=list)
    _seeds: int = 0

    def next_seed(self) -> tf.Tensor:
        """Returns a seed for a stateless random operation, int64 [2], another one at every call.

        Raises:
            ValueError: Nothing may be random in this pass.
        """
        if self.seed is None:
            raise ValueError("there is no seed: nothing may be random in a pass that only measures")
        self._seeds += 1
        if self._seeds == 1:
            return self.seed
        return tf.random.experimental.stateless_fold_in(self.seed, self._seeds)

    def dropout(self, x: tf.Tensor) -> tf.Tensor:
        """Sets a random share of the values of x, float32 of any shape, to 0 and scales up the others."""
        if not self.dropout_rate or self.seed is None:
            return x
        return tf.nn.experimental.stateless_dropout(x, self.dropout_rate, self.next_seed())

    def add_output(self, probabilities: tf.Tensor, weight: float = 1.0) -> None:
        """Adds probabilities that are trained towards the batch's targets beside the result of the pass.

        Architectures that predict on the way to their result use it: the stages of a chain, the branches of a mixture.

        Args:
            probabilities: float32 [B, V]; they get the same kind of loss as the result.
            weight: Weight of their loss in the total loss, where the result's loss has weight 1.
        """
        self.outputs.append((weight, probabilities))

    def add_loss(self, loss: tf.Tensor) -> None:
        """Adds a loss that needs no targets, such as a divergence: float32 [], a mean over the batch's videos."""
        self.losses.append(loss)

    def total(self, loss_of: Callable[[tf.Tensor], tf.Tensor], loss: tf.Tensor) -> tf.Tensor:
        """Returns the total loss, float32 [].

        Args:
            loss_of: Computes the loss of probabilities, float32 [B, V].
            loss: Loss of the result of the pass, float32 [].
        """
        others = [weight * loss_of(output) for weight, output in self.outputs] + self.losses
        return tf.add_n([loss, *others]) if others else loss
