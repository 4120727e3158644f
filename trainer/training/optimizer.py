"""Adam with the paper's clipping and decay.

Keras' Adam is tens of small operations a variable; on CPUs the fused ResourceApplyAdam is over 100 ms a step faster at
K16-H512. It is what tf.compat.v1's AdamOptimizer, which the authors used, runs. Kernels of dense layers, nearly all of
the weights, have an operation of this project's own on CPUs.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.model.product import Factors
from trainer.native import operations
from trainer.training.config import TrainingConfig

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


def learning_rate(config: TrainingConfig, step: tf.Tensor | int) -> tf.Tensor:
    """float32 rate of 0-based `step`: base * decay ** (examples seen // decay examples) (paper, staircase)."""
    examples = tf.cast(step, tf.int64) * config.batch_size
    exponent = tf.cast(examples // config.learning_rate_decay_examples, tf.float32)
    return config.learning_rate * tf.pow(tf.constant(config.learning_rate_decay), exponent)


class Adam:
    """Adam (Kingma & Ba 2015) on named variables.

    Args:
        variables: What is trained.
        config: Rates, clipping, and the L2 penalty.
        decayed: Names of the kernels that the penalty is on.
        dtype: Of the products that are the gradients of kernels, where TensorFlow multiplies them; this project's own
            operation does so in float32.

    Attributes:
        slots: `<tensor>/m` and `<tensor>/v` for every tensor, float32.
    """

    def __init__(
        self,
        variables: Mapping[str, tf.Variable],
        config: TrainingConfig,
        decayed: Collection[str] = (),
        dtype: tf.DType = tf.float32,
    ) -> None:
        self._variables = variables
        self._config = config
        self._penalties = dict.fromkeys(decayed, config.l2_penalty)
        self._dtype = dtype
        self.slots = {
            f"{name}/{slot}": tf.Variable(tf.zeros(variable.shape), trainable=False)
            for name, variable in variables.items()
            for slot in ("m", "v")
        }

    def apply(self, gradients: Mapping[str, tf.Tensor | Factors], step: tf.Tensor) -> tf.Tensor:
        """One update, each gradient with its L2 term clipped to its own norm; returns the norm over all, unclipped.

        Works on the raw handles so that it also runs inside a replica of a distribution strategy, where every
        replica applies the same, already reduced gradients to its own copy.

        Args:
            gradients: Of each tensor, without its L2 term; of a kernel its factors, or a tensor.
            step: int64 [], counts from 0.
        """
        rates = self._rates(step)
        limit = self._config.gradient_clip_norm
        squares = []
        # From then on backpropagation reads no kernel but the first, whose turn is last: an update of one that is
        # being read would copy it. One at a time, since each takes all cores.
        before: list[Any] = [each.right for each in gradients.values() if isinstance(each, Factors)]
        for name, gradient in reversed(gradients.items()):
            if name in self._penalties and not isinstance(gradient, Factors):
                gradient += self._penalties[name] * self._variables[name]
            square = self._square(name, gradient)
            squares.append(square)
            scale = limit / tf.maximum(tf.sqrt(square), limit)
            state = {
                "var": self._variables[name].handle,
                "m": self.slots[f"{name}/m"].handle,
                "v": self.slots[f"{name}/v"].handle,
            }
            if isinstance(gradient, Factors):
                with tf.control_dependencies(before):
                    before = [self._apply_factors(name, gradient, scale, state | rates)]
            else:
                tf.raw_ops.ResourceApplyAdam(grad=scale * gradient, **state, **rates)
        return tf.sqrt(tf.add_n(squares))

    def load(self, slots: Mapping[str, np.ndarray]) -> None:
        """Puts saved slots in place."""
        for name, variable in self.slots.items():
            variable.assign(slots[name])

    def _rates(self, step: tf.Tensor) -> dict[str, Any]:
        count = tf.cast(step + 1, tf.float32)
        return {
            "beta1_power": tf.pow(_BETA1, count),
            "beta2_power": tf.pow(_BETA2, count),
            "lr": learning_rate(self._config, step),
            "beta1": _BETA1,
            "beta2": _BETA2,
            "epsilon": _EPSILON,
        }

    def _square(self, name: str, gradient: tf.Tensor | Factors) -> tf.Tensor:
        """Squared norm of the gradient with its L2 term."""
        if not isinstance(gradient, Factors):
            return tf.reduce_sum(tf.square(gradient))
        square = gradient.square()
        if penalty := self._penalties.get(name):
            weights = 2.0 * tf.nn.l2_loss(self._variables[name])
            square = tf.maximum(square + 2.0 * penalty * gradient.along + penalty**2 * weights, 0.0)
        return square

    def _apply_factors(
        self, name: str, gradient: Factors, scale: tf.Tensor, arguments: Mapping[str, Any]
    ) -> tf.Operation | None:
        penalty = self._penalties.get(name, 0.0)
        if native := operations():
            return native.apply_adam_of_product(
                left=gradient.left, right=gradient.right, scale=scale, penalty=penalty, **arguments
            )
        left, right = tf.cast(gradient.left, self._dtype), tf.cast(scale * gradient.right, self._dtype)
        grad = tf.cast(tf.matmul(left, right, transpose_a=True), tf.float32)
        if penalty:
            grad += scale * penalty * self._variables[name]
        return tf.raw_ops.ResourceApplyAdam(grad=grad, **arguments)
