"""What a forward pass in training is given besides frames and weights, and what it leaves besides probabilities.

Legend: B videos, V classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import tensorflow as tf

Moments = dict[str, tf.Tensor]
"""Batch mean and variance by the name of the moving statistic that they update."""


@dataclass
class TrainingPass:
    """One forward pass in training. Without a seed it is a pass that only measures: nothing in it is random.

    Attributes:
        dropout_rate: Share of the values that `dropout` drops, at least 0 and below 1.
        seed: int64 [2], different at each step and on each replica; None where nothing may be random.
        moments: Receives the batch's statistics (see `trainer.model.layers.batch_norm`).
        outputs: What `add_output` was given: weight and probabilities.
        losses: What `add_loss` was given.
    """

    dropout_rate: float = 0.0
    seed: tf.Tensor | None = None
    moments: Moments = field(default_factory=dict)
    outputs: list[tuple[float, tf.Tensor]] = field(default_factory=list)
    losses: list[tf.Tensor] = field(default_factory=list)
    _seeds: int = 0

    def next_seed(self) -> tf.Tensor:
        """int64 [2]: another seed at every call, for a stateless random operation.

        Raises:
            ValueError: If nothing may be random in this pass.
        """
        if self.seed is None:
            raise ValueError("there is no seed: nothing may be random in a pass that only measures")
        self._seeds += 1
        if self._seeds == 1:
            return self.seed
        return tf.random.experimental.stateless_fold_in(self.seed, self._seeds)

    def dropout(self, x: tf.Tensor) -> tf.Tensor:
        """float32, the shape of x: some values 0 and the others larger for it."""
        if not self.dropout_rate or self.seed is None:
            return x
        return tf.nn.experimental.stateless_dropout(x, self.dropout_rate, self.next_seed())

    def add_output(self, probabilities: tf.Tensor, weight: float = 1.0) -> None:
        """Trains further probabilities, float32 [B, V], towards the targets of the batch, too.

        For what predicts on the way to the result: the stages of a chain, the branches of a mixture.

        Args:
            probabilities: Get the same loss as the result has.
            weight: Of that loss in the sum; the result's is 1.
        """
        self.outputs.append((weight, probabilities))

    def add_loss(self, loss: tf.Tensor) -> None:
        """Adds a loss, float32 [] (a mean over the batch's videos), that needs no targets, such as a divergence."""
        self.losses.append(loss)

    def total(self, loss_of: Callable[[tf.Tensor], tf.Tensor], loss: tf.Tensor) -> tf.Tensor:
        """float32 []: the sum of all losses, of which `loss` is the result's and `loss_of` gives those of outputs."""
        others = [weight * loss_of(output) for weight, output in self.outputs] + self.losses
        return tf.add_n([loss, *others]) if others else loss
